#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""under.py LAYER DIR – fills DIR with what LAYER wants to hide, so that its whiteouts and opaque directories can be
seen to work: something by every name it takes away, and something in every directory that it makes opaque."""
import os
import sys
import tarfile


def names(path):
    """As many as can be read: some layers end strangely, on purpose."""
    try:
        with tarfile.open(path, "r:*", encoding="utf-8", errors="surrogateescape") as tar:
            for member in tar:
                yield member.name
    except (tarfile.TarError, EOFError, OSError):
        return


def put(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(content)


def main():
    layer, top = sys.argv[1:]
    put(os.path.join(top, "under/file"), "from below\n")
    put(os.path.join(top, "data/d0/from-below"), "merged\n")
    for count, name in enumerate(names(layer)):
        parent, base = os.path.split(os.path.normpath("/" + name).lstrip("/"))
        if base == ".wh..wh..opq":
            put(os.path.join(top, parent, "old/deep"), "hidden with its directory\n")
            put(os.path.join(top, parent, "old-file"), "hidden\n")
        elif base.startswith(".wh."):
            hidden = os.path.join(top, parent, base[4:])
            put(hidden if count % 2 else os.path.join(hidden, "in-a-directory"), "hidden\n")


main()
