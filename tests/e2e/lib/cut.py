#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cut.py LISTEN TO BYTES – passes TCP connections on to port TO of this machine. When BYTES have gone there, of all
connections together, it drops all, once. BYTES 0: never. On SIGUSR1 it says how many went there."""
import select
import signal
import socket
import sys

listen, to, budget = (int(arg) for arg in sys.argv[1:4])
server = socket.create_server(("127.0.0.1", listen))
peers = {}  # each socket's other side
clients = set()  # those of the side that BYTES are counted of
passed = 0


def drop(sock):
    other = peers.pop(sock, None)
    peers.pop(other, None)
    for one in (sock, other):
        if one is not None:
            clients.discard(one)
            one.close()


def accept():
    client = server.accept()[0]
    guest = socket.create_connection(("127.0.0.1", to))
    peers[client], peers[guest] = guest, client
    clients.add(client)


def pass_on(sock):
    global passed
    data = sock.recv(16384)
    if sock in clients:
        passed += len(data)
    if not data:
        raise OSError("closed")
    peers[sock].sendall(data)


signal.signal(signal.SIGUSR1, lambda *_: print(passed, flush=True))
while True:
    for ready in select.select([server, *peers], [], [])[0]:
        try:
            if ready is server:
                accept()
            elif ready in peers:
                pass_on(ready)
        except OSError:
            drop(ready)
        if budget and passed >= budget:
            budget = 0
            for one in list(peers):
                drop(one)
