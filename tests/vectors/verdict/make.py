#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# make.py – the verdicts here, from docs/verdicts.md alone: tests/vectors/verdict/make.py, in this directory.
import struct
import zlib


def verdict(kind, text=b"", digest=b"\xdd" * 32, version=1, magic=b"SOCIchek", claimed=None):
    raw = magic + struct.pack("<II", version, kind) + b"\x11" * 32 + b"\x22" * 32 + digest
    raw += struct.pack("<I", len(text) if claimed is None else claimed) + text
    return raw + struct.pack("<I", zlib.crc32(raw))


vectors = {
    "checked": verdict(1),
    "refused": verdict(2, b"entry 0 of the tar, bin/sh, differs in its mode"),
    "refused-for-all": verdict(2, b"entry 0 of the tar, bin/sh, differs in its mode", bytes(32)),
    "longest-text": verdict(2, b"x" * 639),
    "bad-text-too-long": verdict(2, b"x" * 640),
    "bad-text-past-end": verdict(2, b"text", claimed=5),
    "bad-text-length-huge": verdict(2, b"text", claimed=0xffffffff),
    "bad-text-with-nul": verdict(2, b"a\0b"),
    "bad-kind": verdict(3),
    "bad-version": verdict(1, version=2),
    "bad-magic": verdict(1, magic=b"SOCIspan"),
    "bad-crc": verdict(1)[:-1] + b"\0",
    "bad-more-behind": verdict(1) + b"\0",
    "bad-short": verdict(1)[:100],
    "bad-empty": b"",
}
for name, raw in vectors.items():
    with open(f"{name}.verdict", "wb") as out:
        out.write(raw)
