# SPDX-License-Identifier: Apache-2.0
"""many-files.py FILE COUNT – a layer (tar + gzip) of COUNT files in directories of 200, every fourth with some bytes in it.
Headers are made by hand: tarfile takes minutes for a million. The same count gives the same layer."""
import subprocess, sys

path, count = sys.argv[1], int(sys.argv[2])


def header(name, size, kind):
    h = bytearray(512)
    fields = ((0, name.encode()), (100, b"0000755\0" if kind == b"5" else b"0000644\0"), (108, b"0000000\0"),
              (116, b"0000000\0"), (124, b"%011o\0" % size), (136, b"%011o\0" % 1700000000), (148, b" " * 8), (156, kind),
              (257, b"ustar\0" + b"00"), (265, b"root"), (297, b"root"))
    for at, value in fields:
        h[at:at + len(value)] = value
    h[148:155] = b"%06o\0" % sum(h)
    return bytes(h)


with open(path, "wb") as out, subprocess.Popen(["pigz", "-n", "-1"], stdin=subprocess.PIPE, stdout=out) as packer:
    tar = packer.stdin
    for i in range(count):
        if i % 200 == 0:
            tar.write(header(f"files/{i // 200}/", 0, b"5"))
        text = b"" if i % 4 else b"file %d\n" % i
        tar.write(header(f"files/{i // 200}/file-{i}", len(text), b"0") + text + bytes(-len(text) % 512))
    tar.write(bytes(1024))
    tar.close()
    assert packer.wait() == 0
