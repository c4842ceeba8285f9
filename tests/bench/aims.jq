# SPDX-License-Identifier: Apache-2.0
# aims.jq – from what ./tools/bench --json writes: what is aimed at, what was measured, and whether that reaches it.
# What was not measured is left out.
include "tables";

def at_most($name; $aim): select(. != null) | {$name, aim: "at most \($aim)", got: ., reached: (. <= $aim)};
def at_least($name; $aim): select(. != null) | {$name, aim: "at least \($aim)", got: ., reached: (. >= $aim)};
def of($way): map(select(.way == $way));
def total: map(.pull_s + .first_s) | median;
def second: map(.second_s) | median;
def walk($what; $way): map(select(.what == $what and .way == $way) | .ms) | min;
def speed($what; $way): map(select(.state == "complete" and .what == $what and .way == $way) | .mb_s) | median;

[(.parts.start // [] | map(select(.rtt_ms == 40 and .mbit == 100)) | group_by(.image)[]
  | .[0].image as $image | of("overlayfs") as $full
  | (of("erofs") | total | over($full | total) | at_most("\($image): cold start, of the full pull's"; 0.55)),
    (of("erofs") | map(.link_use | values) | median | at_least("\($image): link use"; 0.8)),
    (of("learned") | total | over($full | total) | at_most("\($image): learned start, of the full pull's"; 0.45)),
    (of("erofs") | second | over($full | second) | at_most("\($image): second run, of overlayfs"; 1.1)),
    (of("fuse") | second | over($full | second) | at_most("\($image): second run with fuse, of overlayfs"; 1.4))),
 (.parts.walk // [] | walk("walk, cold"; "overlayfs") as $cold | walk("walk, warm"; "overlayfs") as $warm
  | (walk("walk, cold"; "erofs") | over($cold) | at_most("walk, cold, of overlayfs"; 1.0)),
    (walk("walk, warm"; "erofs") | over($warm) | at_most("walk, warm, of overlayfs"; 0.8)),
    (walk("walk, cold"; "fuse") | over($cold) | at_most("walk with fuse, cold, of overlayfs"; 3)),
    (walk("walk, warm"; "fuse") | over($warm) | at_most("walk with fuse, warm, of overlayfs"; 3))),
 (.parts.read // [] | . as $all
  | ("in order", "in order, mmap", "at random, 4 KiB", "at random, 4 KiB, mmap", "at random, 64 KiB, 32 readers") as $what
  | ($all | speed($what; "overlayfs")) | over($all | speed($what; "erofs"))
  | at_most("read of a complete layer, \($what), times overlayfs"; 1.05)),
 (.parts.memory // [] | map(select(.way == "erofs") | .rss_kib) | max | mib | at_most("RSS with two images mounted, MB"; 16))]
| if length == 0 then empty
  else (["aim", "", "measured", ""] | @tsv),
       (.[] | ["  " + .name, .aim, (.got | digits(2)), if .reached then "reached" else "MISSED" end] | @tsv) end
