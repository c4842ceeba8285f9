# SPDX-License-Identifier: Apache-2.0
"""starts.py – records of starts (docs/starts.md), and whether a log of requests begins with what they say.

    starts.py show RECORD                       layer and span of each touch, in their order
    starts.py check RECORD BLOBS LOG LINES      LOG is fault-proxy's, from line LINES on; BLOBS has the ztocs
"""
import bisect, struct, sys

CHECKPOINT = 8 + 8 + 1 + 32768  # compressed offset, tar offset, bits, window
AT_ONCE = 6  # GETs that the engine has under way: they may reach the registry in any order
NEAR = 8  # a neighbour whose turn is so much later comes in the same GET


def read_record(path):
    """[(layer, ztoc, [span …])], and [(layer, span)] in the order of the record."""
    with open(path, "rb") as f:
        data = f.read()
    assert data[:8] == b"SOCIstrt", "no record"
    _, layer_count, touch_count = struct.unpack_from("<III", data, 8)
    layers = [(data[52 + 64 * i:][:32].hex(), data[84 + 64 * i:][:32].hex()) for i in range(layer_count)]
    at = 52 + 64 * layer_count
    touches = [struct.unpack_from("<III", data, at + 12 * i)[:2] for i in range(touch_count)]
    return layers, [(layers[layer][0], span) for layer, span in touches]


def span_starts(path, span_size):
    """Where in the compressed layer its spans begin, from the checkpoints in its ztoc."""
    with open(path, "rb") as f:
        data = f.read()
    at = data.index(struct.pack("<q", span_size)) - 4
    while struct.unpack_from("<I", data, at - 4)[0] != 12 + struct.unpack_from("<I", data, at)[0] * CHECKPOINT:
        at = data.index(struct.pack("<q", span_size), at + 5) - 4
    count = struct.unpack_from("<I", data, at)[0]
    starts = []
    for i in range(count):
        comp_off, _, bits = struct.unpack_from("<qqB", data, at + 12 + i * CHECKPOINT)
        starts.append(comp_off - (bits != 0))
    return starts


def fetched_spans(log, first_line, layer, starts):
    spans = []
    with open(log, encoding="utf-8") as f:
        lines = f.read().splitlines()[first_line:]
    for line in lines:
        words = line.split()
        if len(words) != 4 or words[1] != "GET" or layer not in words[2] or not words[3].startswith("bytes="):
            continue
        begin, end = (int(x) for x in words[3][6:].split("-"))
        span = bisect.bisect_right(starts, begin) - 1
        while span < len(starts) and starts[span] < end:
            spans.append(span)
            span += 1
    return spans


def check_layer(layer, recorded, fetched):
    print(f"layer {layer[:12]}: recorded {recorded}, fetched {fetched}", flush=True)
    assert len(set(fetched)) == len(fetched), f"{layer}: a span was fetched twice: {fetched}"
    early = fetched[:len(recorded)]
    late = [span for span in recorded if span not in early]
    assert len(late) <= AT_ONCE // 2, f"not among the first: {late}"
    for i, span in enumerate(recorded):
        for other in recorded[i + 1 + AT_ONCE + NEAR:]:
            assert fetched.index(span) < fetched.index(other), f"{other} came before {span}"


def main():
    layers, touches = read_record(sys.argv[2])
    if sys.argv[1] == "show":
        for layer, span in touches:
            print(layer, span)
        return
    _, _, _, blobs, log, first_line = sys.argv
    longest = 0
    for layer, ztoc in layers:
        starts = span_starts(f"{blobs}/{ztoc}", 262144)
        recorded = [span for of, span in touches if of == layer]
        check_layer(layer, recorded, fetched_spans(log, int(first_line), layer, starts))
        longest = max(longest, len(recorded))
    assert longest >= 18, "too little was recorded to tell"


main()
