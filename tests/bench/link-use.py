# SPDX-License-Identifier: Apache-2.0
"""How much of the line was used while a reader waited for a span.

link-use.py sample FILE       until SIGTERM: "NANOSECONDS WAITING" every few milliseconds, the moment by CLOCK_MONOTONIC and
                              how many requests the kernel has sent to FUSE file systems and has no answer to. What the
                              daemon has on its disk it answers within microseconds, so who is seen waiting lacks a span.
link-use.py use FILE LOG      prints JSON: how long somebody waited (wait_s), in how much of that time something came down
                              the line (busy_s), and the second over the first (link_use; null: nobody waited). LOG is
                              slow-link's."""
import glob, json, os, signal, sys, time

PERIOD_S = 0.004


def waiting():
    total = 0
    for path in glob.glob("/sys/fs/fuse/connections/*/waiting"):
        try:
            with open(path) as file:
                total += int(file.read())
        except (OSError, ValueError):  # unmounted meanwhile
            pass
    return total


def sample(path):
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    with open(path, "w") as out:
        while not stop:
            out.write(f"{time.monotonic_ns()} {waiting()}\n")
            time.sleep(PERIOD_S)


def stretches_waited(path):
    """A stretch is waited for when somebody waits at both its ends: a single request may be one of microseconds."""
    before, count_before = 0, 0
    with open(path) as file:
        for line in file:
            now, count = map(int, line.split())
            if count > 0 and count_before > 0:
                yield before, now
            before, count_before = now, count


def stretches_busy(path):
    """Sorted; of those that begin together the last, which is the longest."""
    ends = {}
    with open(path) as file:
        for line in file:
            begin, end = map(int, line.split())
            ends[begin] = max(end, ends.get(begin, 0))
    return sorted(ends.items())


def overlap(waits, busy):
    total, at = 0, 0
    for begin, end in waits:
        while at < len(busy) and busy[at][1] <= begin:
            at += 1
        i = at
        while i < len(busy) and busy[i][0] < end:
            total += max(0, min(end, busy[i][1]) - max(begin, busy[i][0]))
            i += 1
    return total


def use(samples, log):
    waits = list(stretches_waited(samples))
    wait_ns = sum(end - begin for begin, end in waits)
    busy_ns = overlap(waits, stretches_busy(log))
    print(json.dumps({"wait_s": round(wait_ns / 1e9, 3), "busy_s": round(busy_ns / 1e9, 3),
                      "link_use": round(busy_ns / wait_ns, 3) if wait_ns > 0 else None}))


if __name__ == "__main__":
    if sys.argv[1] == "sample":
        sample(sys.argv[2])
    else:
        use(sys.argv[2], sys.argv[3])
