# SPDX-License-Identifier: Apache-2.0
"""pull-layers.py DIRECTORY COUNT BYTES – layers for tests/bench/pull: COUNT of them, together BYTES of gzip, of very
different sizes as those of real images are. Half of what is in their files is prose of made-up words, half is noise in
hexadecimal, so that they pack to about 0.4. The same numbers give the same layers."""
import gzip, io, random, sys, tarfile

POOL_BYTES = 8 << 20
PACKED = 0.44  # of what prose and noise come to, by gzip -6


def prose(r):
    words = [bytes(r.choices(b"etaoinshrdlucmfwypvbgk", k=r.randint(2, 9))) for _ in range(4000)]
    weights = [1 / (i + 4) for i in range(len(words))]
    return b" ".join(r.choices(words, weights, k=POOL_BYTES // 6))


def content(r, pools, size):
    pool = r.choice(pools)
    start = r.randrange(len(pool) - size)
    return pool[start:start + size]


def layer(r, pools, path, number, size):
    with gzip.GzipFile(path, "wb", compresslevel=6, mtime=0) as packed, \
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        left, count = size, 0
        while left > 0:
            length = min(left, int(2 ** r.uniform(9, 21)))
            info = tarfile.TarInfo(f"data/{number}/{count % 40}/{count}")
            info.size, info.mtime = length, 1700000000
            tar.addfile(info, io.BytesIO(content(r, pools, length)))
            left, count = left - length, count + 1


def main(directory, count, total):
    r = random.Random(7)
    pools = [prose(r), r.randbytes(POOL_BYTES // 2).hex().encode()]
    shares = [2 ** r.uniform(0, 5) for _ in range(count)]
    for number, share in enumerate(shares):
        layer(r, pools, f"{directory}/{number:03}.tar.gz", number, int(total / PACKED * share / sum(shares)))


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
