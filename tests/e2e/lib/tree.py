#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tree.py – what a directory tree looks like to those who use it, and how two of them differ.

  tree.py dump DIR > FILE                    one JSON object per entry, sorted by path; does not cross mounts
  tree.py compare WANT GOT [--since S --until S] [--no-whiteouts]
                                             each difference on a line; exit code 1 when there are any

Compared are names, types, modes, owners, sizes, modification times, link counts, which names are one file, device
numbers, link targets, extended attributes and contents. A time in WANT between --since and --until was given by
the clock when the layer was unpacked, because the layer does not say one: it is not compared. --no-whiteouts leaves out
in GOT what hides names of lower layers: the lowest layer of an image has none in an unpacked tree.
"""
import argparse
import hashlib
import json
import os
import stat
import sys


def text(raw):
    """Bytes as a string that JSON can hold and that is the same for the same bytes."""
    return os.fsdecode(raw).encode("utf-8", "surrogateescape").decode("latin-1")


def digest(path):
    sha = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 17):
            sha.update(block)
    return sha.hexdigest()


def xattrs(path):
    return {text(os.fsencode(name)): os.getxattr(path, name, follow_symlinks=False).hex()
            for name in sorted(os.listxattr(path, follow_symlinks=False))}


def describe(path, name, first_names):
    st = os.lstat(path)
    entry = {"path": text(name), "type": stat.filemode(st.st_mode)[0], "mode": oct(stat.S_IMODE(st.st_mode)),
             "uid": st.st_uid, "gid": st.st_gid, "nlink": st.st_nlink, "mtime_ns": st.st_mtime_ns}
    if not stat.S_ISDIR(st.st_mode):
        entry["size"] = st.st_size
        if st.st_nlink > 1:
            entry["same_as"] = first_names.setdefault((st.st_dev, st.st_ino), text(name))
    if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
        entry["rdev"] = [os.major(st.st_rdev), os.minor(st.st_rdev)]
    if stat.S_ISLNK(st.st_mode):
        entry["target"] = text(os.readlink(path))
    if stat.S_ISREG(st.st_mode):
        entry["sha256"] = digest(path)
    entry["xattrs"] = xattrs(path)
    return entry


def names_below(top, name, device):
    """Paths relative to `top`, `name` first; a directory on another device is named but not entered."""
    yield name
    path = os.path.join(top, name)
    st = os.lstat(path)
    if stat.S_ISDIR(st.st_mode) and st.st_dev == device:
        for child in sorted(os.listdir(path)):
            yield from names_below(top, os.path.join(name, child) if name != b"." else child, device)


def dump(args):
    top = os.fsencode(args.dir)
    first_names = {}
    for name in sorted(names_below(top, b".", os.lstat(top).st_dev)):
        print(json.dumps(describe(os.path.join(top, name), name, first_names), sort_keys=True))
    return 0


def load(path):
    with open(path, encoding="utf-8") as f:
        return {entry["path"]: entry for entry in map(json.loads, f)}


def without_whiteouts(tree):
    kept = {path: entry for path, entry in tree.items() if entry.get("rdev") != [0, 0] or entry["type"] != "c"}
    for entry in kept.values():
        entry["xattrs"].pop("trusted.overlay.opaque", None)
    return kept


def differences(want, got, clock):
    for path in sorted(want.keys() | got.keys()):
        if path not in got:
            yield f"{path!r} is missing"
        elif path not in want:
            yield f"{path!r} should not be there: {got[path]}"
        else:
            a, b = want[path], got[path]
            for key in sorted(a.keys() | b.keys()):
                by_clock = key == "mtime_ns" and a[key] // 10**9 in clock
                if not by_clock and a.get(key) != b.get(key):
                    yield f"{path!r}: {key} should be {a.get(key)!r}, is {b.get(key)!r}"


def compare(args):
    want, got = load(args.want), load(args.got)
    if args.no_whiteouts:
        got = without_whiteouts(got)
    lines = list(differences(want, got, range(args.since, args.until)))
    for line in lines[:20]:
        print(line)
    if len(lines) > 20:
        print(f"and {len(lines) - 20} more")
    return 1 if lines else 0


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    sub = commands.add_parser("dump")
    sub.add_argument("dir")
    sub.set_defaults(run=dump)
    sub = commands.add_parser("compare")
    sub.add_argument("want")
    sub.add_argument("got")
    sub.add_argument("--since", type=int, default=0)
    sub.add_argument("--until", type=int, default=0)
    sub.add_argument("--no-whiteouts", action="store_true")
    sub.set_defaults(run=compare)
    args = parser.parse_args()
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
