#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""door.py – a door in front of a registry: lets in who knows a password, or has a token that it gave.

    door.py LISTEN TO USERS KIND [LIFE_S]

LISTEN and TO are host:port. USERS is a file of lines `name password`, read at each request: who is taken out of it is
refused from then on, token or not. KIND is basic, or bearer, or bearer-get for a realm that knows no form. Tokens live
for LIFE_S. Each request is a line on stderr: method, path without query, status, and for tokens how it was asked.
"""
import base64
import http.client
import http.server
import json
import secrets
import sys
import time
import urllib.parse

listen, to, users_file, kind = sys.argv[1:5]
life_s = float(sys.argv[5]) if len(sys.argv) > 5 else 300
tokens = {}  # token: (name, when it ends)


def users():
    with open(users_file, encoding="ascii") as lines:
        return dict(line.split() for line in lines if line.strip())


class Door(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def note(self, status, how=""):
        sys.stderr.write(f"{self.command} {self.path.split('?')[0]} {status} {how}\n")
        sys.stderr.flush()

    def say(self, status, body=b"", headers=(), how=""):
        self.note(status, how)
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def basic_user(self):
        """The name in a Basic header whose password is right, "" without one, None when it is wrong."""
        scheme, _, text = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic":
            return ""
        name, _, password = base64.b64decode(text).decode().partition(":")
        return name if name and users().get(name) == password else None

    def is_known(self):
        if kind == "basic":
            return bool(self.basic_user())
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        name, ends = tokens.get(token, ("", 0))
        return scheme == "Bearer" and time.monotonic() < ends and name in users()

    def challenge(self):
        scope = "repository:" + self.path.split("?")[0].removeprefix("/v2/").rpartition("/")[0].rpartition("/")[0] + ":pull"
        value = f'Bearer realm="http://{listen}/token",service="the door",scope="{scope}"'
        body = json.dumps({"errors": [{"code": "UNAUTHORIZED", "message": "the door is closed"}]}).encode()
        self.say(401, body, [("WWW-Authenticate", 'Basic realm="door"' if kind == "basic" else value)])

    def give_token(self, name, how):
        if not name:
            self.say(401, how=how)
            return
        token = secrets.token_urlsafe(24)
        tokens[token] = (name, time.monotonic() + life_s)
        self.say(200, json.dumps({"token": token, "access_token": token, "expires_in": int(life_s)}).encode(), how=how)

    def give_by_form(self, body):
        form = dict(urllib.parse.parse_qsl(body.decode(), strict_parsing=True))
        name = form.get("username", "")
        good = form.get("grant_type") == "password" and users().get(name) == form.get("password")
        self.give_token(name if good and form.get("client_id") else None, "form")

    def forward(self, body):
        up = http.client.HTTPConnection(to)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("authorization", "connection")}
        up.request(self.command, self.path, body or None, headers)
        answer = up.getresponse()
        data = answer.read()
        self.note(answer.status)
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        if answer.getheader("Content-Length") is None:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        up.close()

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.path.startswith("/token"):
            self.forward(body) if self.is_known() else self.challenge()
        elif self.command != "POST":
            self.give_token(self.basic_user(), "basic")
        elif kind == "bearer-get":
            self.say(404, how="form")
        else:
            self.give_by_form(body)

    do_GET = do_HEAD = do_POST = do_PUT = handle_any


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


host, _, port = listen.partition(":")
Server((host, int(port)), Door).serve_forever()
