#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""foreign_client.py SOCKET PID: gRPC's own client library against the daemon, without generated stubs: messages are bytes.

What our client and containerd's do is tested elsewhere; here is what a client may do besides. At the end the daemon is
told to stop (PID); once the file STOPPED is there another one is expected on the socket within 30 s.
"""
import os
import signal
import socket
import struct
import sys
import time

import grpc

SOCKET, PID, STOPPED = sys.argv[1], int(sys.argv[2]), sys.argv[3]
SNAPSHOTS = "/containerd.services.snapshots.v1.Snapshots/"
HEALTH = "/grpc.health.v1.Health/"
MIB = 1024 * 1024
STARTED = time.monotonic()
OPTIONS = [("grpc.max_receive_message_length", 64 * MIB), ("grpc.max_send_message_length", 64 * MIB),
           ("grpc.max_reconnect_backoff_ms", 500), ("grpc.initial_reconnect_backoff_ms", 100)]


def channel(**options):
    return grpc.insecure_channel("unix:" + SOCKET, options=OPTIONS + [("grpc.default_authority", "localhost")], **options)


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    """A string or bytes field of protobuf."""
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def call(ch, path, message=b"", **kwargs):
    return ch.unary_unary(path)(message, **{"timeout": 30, **kwargs})


def stream(ch, path, message=b"", **kwargs):
    return ch.unary_stream(path)(message, **{"timeout": 30, **kwargs})


def refused(code, run):
    try:
        run()
    except grpc.RpcError as e:
        assert e.code() == code, (e.code(), e.details(), "wanted", code)
        return e
    raise AssertionError("no error, wanted %s" % code)


def key(name):
    return field(1, "soci") + field(2, name)


def step(text):
    print("%6.2f %s" % (time.monotonic() - STARTED, text), flush=True)


def snapshots(ch):
    step("snapshots: prepare, stat, list, commit, remove")
    got = call(ch, SNAPSHOTS + "Prepare", key("foreign"))
    assert b"bind" in got or b"overlay" in got, got
    assert b"foreign" in call(ch, SNAPSHOTS + "Stat", key("foreign"))
    assert b"foreign" in b"".join(stream(ch, SNAPSHOTS + "List", field(1, "soci")))
    e = refused(grpc.StatusCode.ALREADY_EXISTS, lambda: call(ch, SNAPSHOTS + "Prepare", key("foreign")))
    assert "foreign" in e.details()
    call(ch, SNAPSHOTS + "Commit", field(1, "soci") + field(2, "done") + field(3, "foreign"))
    refused(grpc.StatusCode.NOT_FOUND, lambda: call(ch, SNAPSHOTS + "Stat", key("foreign")))
    call(ch, SNAPSHOTS + "Remove", key("done"))
    refused(grpc.StatusCode.NOT_FOUND, lambda: call(ch, SNAPSHOTS + "Remove", key("done")))
    refused(grpc.StatusCode.INVALID_ARGUMENT, lambda: call(ch, SNAPSHOTS + "Stat", b"\x0a\xff\xff\xff\xff\x0f"))


def sizes(ch):
    step("messages of 16 MiB pass, larger ones do not, and the connection stays")
    name = key("x")
    # A field that nobody knows is skipped; its length follows from what is left.
    pad = 16 * MIB - len(name)
    head = varint(100 << 3 | 2)
    body = pad - len(head) - len(varint(pad - len(head) - 4))
    message = name + head + varint(body) + b"z" * body
    assert len(message) == 16 * MIB, len(message)
    refused(grpc.StatusCode.NOT_FOUND, lambda: call(ch, SNAPSHOTS + "Stat", message))
    for extra in (1, MIB, 20 * MIB):
        refused(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: call(ch, SNAPSHOTS + "Stat", message + b"z" * extra))
        refused(grpc.StatusCode.NOT_FOUND, lambda: call(ch, SNAPSHOTS + "Stat", name))


def unknown(ch):
    step("unknown services and methods, and messages that are compressed")
    for path in ("/no.such.Service/Method", SNAPSHOTS + "NoSuchMethod", "/", SNAPSHOTS, "//"):
        refused(grpc.StatusCode.UNIMPLEMENTED, lambda: call(ch, path))
        refused(grpc.StatusCode.UNIMPLEMENTED, lambda: list(stream(ch, path)))
    gzip = channel(compression=grpc.Compression.Gzip)
    long_key = key("c" * 4096)
    refused(grpc.StatusCode.UNIMPLEMENTED, lambda: call(gzip, SNAPSHOTS + "Stat", long_key))
    refused(grpc.StatusCode.NOT_FOUND, lambda: call(ch, SNAPSHOTS + "Stat", long_key))
    gzip.close()


def ends(ch):
    step("deadlines and cancelled calls")
    watch = stream(ch, HEALTH + "Watch", timeout=1)
    assert next(watch) == b"\x08\x01"
    refused(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: next(watch))
    for _ in range(50):
        future = ch.unary_unary(SNAPSHOTS + "Prepare").future(key("cancelled"), timeout=30)
        future.cancel()
        lister = stream(ch, SNAPSHOTS + "List", field(1, "soci"))
        lister.cancel()
    refused(grpc.StatusCode.NOT_FOUND, lambda: call(ch, SNAPSHOTS + "Stat", key("x")))
    # The cancelled Prepare may have been done.
    try:
        call(ch, SNAPSHOTS + "Remove", key("cancelled"))
    except grpc.RpcError as e:
        assert e.code() == grpc.StatusCode.NOT_FOUND, e


def crowd(ch):
    step("200 calls at once, on one connection and on ten")
    for channels in ([ch], [channel() for _ in range(10)]):
        futures = [channels[n % len(channels)].unary_unary(SNAPSHOTS + "Prepare").future(key("crowd-%d" % n), timeout=60)
                   for n in range(200)]
        assert all(future.result() for future in futures)
        futures = [channels[n % len(channels)].unary_unary(SNAPSHOTS + "Remove").future(key("crowd-%d" % n), timeout=60)
                   for n in range(200)]
        assert all(future.result() == b"" for future in futures)


def health(ch):
    step("health and version")
    for service in ("", "containerd.services.snapshots.v1.Snapshots"):
        request = field(1, service) if service else b""
        assert call(ch, HEALTH + "Check", request) == b"\x08\x01"
        assert next(stream(ch, HEALTH + "Watch", request)) == b"\x08\x01"
    refused(grpc.StatusCode.NOT_FOUND, lambda: call(ch, HEALTH + "Check", field(1, "nobody")))
    assert next(stream(ch, HEALTH + "Watch", field(1, "nobody"))) == b"\x08\x03"
    got = call(ch, "/containerd.services.version.v1.Version/Version")
    assert got[:1] == b"\x0a" and b"v" in got, got


def watchers():
    step("300 connections that watch do not keep others out")
    watching = []
    for n in range(300):
        # Without its own pool of sub-channels the library would share one connection.
        ch = grpc.insecure_channel("unix:" + SOCKET, options=[("grpc.use_local_subchannel_pool", 1), ("n", n)])
        watch = ch.unary_stream(HEALTH + "Watch")(b"")
        watching.append((ch, watch))
    assert all(next(watch) == b"\x08\x01" for _, watch in watching)
    other = channel()
    started = time.monotonic()
    refused(grpc.StatusCode.NOT_FOUND, lambda: call(other, SNAPSHOTS + "Stat", key("x")))
    assert time.monotonic() - started < 10
    return watching


# ---- below gRPC ------------------------------------------------------------------------------------

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream_id, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream_id) + payload


def raw(data):
    """Send bytes and end; what the daemon says until it hangs up, for at most 10 s."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(SOCKET)
        got = b""
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while chunk := s.recv(65536):
                got += chunk
        except (ConnectionError, TimeoutError):
            pass
        return got


def kinds(data):
    """Of the frames in data."""
    found = []
    while len(data) >= 9:
        found.append(data[3])
        data = data[9 + int.from_bytes(data[:3], "big"):]
    return found


def bad_frames(ch):
    step("bytes that are no HTTP/2, and frames that break its rules")
    settings = frame(4, 0, 0, b"")
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 1000, PREFACE + b"\xff" * 100,
                 PREFACE + frame(0, 0, 1, b"data on an idle stream"),
                 PREFACE + settings + frame(1, 4, 2, b"\x82"),          # an even stream
                 PREFACE + settings + frame(1, 4, 1, b"\xff" * 30),     # no HPACK
                 PREFACE + settings + frame(8, 0, 0, b"\0\0\0\0"),      # a window that does not grow
                 PREFACE + settings + frame(0, 0, 0, b"x" * 20000),     # larger than a frame may be
                 PREFACE + settings + frame(9, 4, 1, b""),              # a continuation of nothing
                 PREFACE + frame(4, 0, 0, b"\0\4\xff\xff\xff\xff"),     # a window that overflows
                 PREFACE[:10]):
        raw(data)
        refused(grpc.StatusCode.NOT_FOUND, lambda: call(ch, SNAPSHOTS + "Stat", key("x")))
    assert 7 in kinds(raw(PREFACE + settings + frame(1, 4, 2, b"\x82"))), "no GOAWAY for an even stream"


# ---- the end ---------------------------------------------------------------------------------------

def shutdown(ch, watching):
    step("SIGTERM: watchers are told, and the connection is given up")
    waiting = [stream(ch, HEALTH + "Watch", timeout=60) for _ in range(5)]
    assert all(next(watch) == b"\x08\x01" for watch in waiting)
    started = time.monotonic()
    os.kill(PID, signal.SIGTERM)
    for watch in waiting + [watch for _, watch in watching]:
        assert list(watch) == [b"\x08\x02"]
    assert time.monotonic() - started < 10, "watchers were kept waiting"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and os.path.exists(SOCKET):
        time.sleep(0.05)
    refused(grpc.StatusCode.UNAVAILABLE, lambda: call(ch, SNAPSHOTS + "Stat", key("x"), timeout=5))

    with open(STOPPED, "w", encoding="ascii"):
        pass
    step("and again: the same channel finds the next daemon")
    refused(grpc.StatusCode.NOT_FOUND, lambda: call(ch, SNAPSHOTS + "Stat", key("x"), wait_for_ready=True))


def main():
    ch = channel()
    for part in (snapshots, sizes, unknown, ends, crowd, health, bad_frames):
        part(ch)
    shutdown(ch, watchers())


main()
