#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""relay.py PORT NAME=PROGRAM… – runs, for relay.c, these programs by their names, with the arguments that it sends."""
import socketserver
import struct
import subprocess
import sys
import threading


def read(stream, count):
    data = stream.read(count)
    if len(data) != count:
        raise EOFError
    return data


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        lock = threading.Lock()
        words = read(self.rfile, struct.unpack("<I", read(self.rfile, 4))[0]).decode().split("\0")[:-1]
        program = subprocess.Popen([programs[words[0]]] + words[1:], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)

        def pump(kind, stream):
            while data := stream.read1(4096):
                with lock:
                    self.wfile.write(kind + struct.pack("<I", len(data)) + data)

        threads = [threading.Thread(target=pump, args=pair)
                   for pair in ((b"o", program.stdout), (b"e", program.stderr))]
        for thread in threads:
            thread.start()
        status = program.wait()
        for thread in threads:
            thread.join()
        self.wfile.write(b"x" + struct.pack("<I", status & 0xff))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


programs = dict(word.split("=", 1) for word in sys.argv[2:])
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
