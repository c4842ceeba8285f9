#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cdn.py – in front of a registry: sends blobs elsewhere by addresses that are good for a while only, or damages them.

    cdn.py --listen HOST:PORT --registry HOST:PORT [--cdn HOST:PORT --seconds N] [--damage] [--ranges HOW]

With --cdn, a GET of a blob is answered with a redirect to that address, which serves it for N seconds and then says 403,
as S3 does; its query has X-Amz-Date and X-Amz-Expires unless --silent. With --damage, one byte in a thousand of each blob
is another. With --ranges ignore, all of a blob is sent when a part is asked for; with --ranges refuse, that is a 416. The log, on stdout: "registry GET /path 307", "cdn GET /path 206 VALID|EXPIRED".
"""
import argparse
import datetime
import http.client
import http.server
import socketserver
import threading
import time

parser = argparse.ArgumentParser()
parser.add_argument("--listen", required=True)
parser.add_argument("--registry", required=True)
parser.add_argument("--cdn")
parser.add_argument("--seconds", type=int, default=3)
parser.add_argument("--silent", action="store_true", help="the query does not say until when")
parser.add_argument("--damage", action="store_true")
parser.add_argument("--ranges", choices=["give", "ignore", "refuse"], default="give")
options = parser.parse_args()
log_lock = threading.Lock()


def log(*words):
    with log_lock:
        print(*words, flush=True)


def damage(body):
    body = bytearray(body)
    for i in range(0, len(body), 1000):
        body[i] ^= 1
    return bytes(body)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):
        pass

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def forward(self, path):
        upstream = http.client.HTTPConnection(options.registry)
        passed = ["range", "accept", "user-agent"][0 if options.ranges == "give" else 1 :]
        if options.ranges == "refuse" and self.headers.get("Range"):
            return 416, [], b""
        headers = {k: v for k, v in self.headers.items() if k.lower() in passed}
        upstream.request(self.command, path, headers=headers)
        got = upstream.getresponse()
        body = got.read()
        wanted = ("content-type", "content-range", "docker-content-digest")
        kept = [(k, v) for k, v in got.getheaders() if k.lower() in wanted]
        if self.command == "HEAD":
            kept.append(("Content-Length", got.getheader("Content-Length", "0")))
        upstream.close()
        return got.status, kept, body


class Front(Handler):
    def do_GET(self):
        path = self.path.split("?")[0]
        if options.cdn and self.command == "GET" and "/blobs/" in path:
            self.redirect(path)
            return
        status, headers, body = self.forward(path)
        if options.damage and "/blobs/" in path and status in (200, 206):
            body = damage(body)
        log("registry", self.command, path, status)
        self.answer(status, headers, body)

    do_HEAD = do_GET

    def redirect(self, path):
        now = int(time.time())
        date = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        query = f"until={now + options.seconds}"
        if not options.silent:
            query += f"&X-Amz-Date={date}&X-Amz-Expires={options.seconds}&X-Amz-Signature=do-not-show-this"
        log("registry", self.command, path, 307)
        self.answer(307, [("Location", f"http://{options.cdn}{path}?{query}")], b"")


class Cdn(Handler):
    def do_GET(self):
        path, _, query = self.path.partition("?")
        until = int(query.split("until=")[1].split("&")[0])
        if self.headers.get("Authorization"):
            log("cdn", self.command, path, 400, "CREDENTIALS")
            self.answer(400, [], b"<Error><Code>InvalidArgument</Code></Error>")
        elif time.time() >= until + 1:  # its seconds are whole ones
            log("cdn", self.command, path, 403, "EXPIRED")
            self.answer(403, [], b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>")
        else:
            status, headers, body = self.forward(path)
            log("cdn", self.command, path, status, "VALID")
            self.answer(status, headers, body)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128


def serve(address, handler):
    host, _, port = address.rpartition(":")
    Server((host, int(port)), handler).serve_forever()


if options.cdn:
    threading.Thread(target=serve, args=(options.cdn, Cdn), daemon=True).start()
serve(options.listen, Front)
