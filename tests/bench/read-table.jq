# SPDX-License-Identifier: Apache-2.0
# read-table.jq – medians in MB/s, and times as slow as overlayfs in the same run: 1.05 is 5 % longer for the same bytes.
include "tables";

def speed($state; $what; $way):
  map(select(.state == $state and .what == $what and .way == $way) | .mb_s // .s) | median;
def from_disk($state; $what; $way):
  map(select(.state == $state and .what == $what and .way == $way) | .disk_of_read // empty) | median;
def disk_row($state; $what):
  [from_disk($state; $what; "overlayfs", "fuse", "erofs")]
  | if .[0] == null then empty else ["  \($state), \($what)", (.[] | digits(2))] | @tsv end;
def row($state; $what):
  speed($state; $what; "overlayfs") as $o | speed($state; $what; "fuse") as $f | speed($state; $what; "erofs") as $e
  | (if $state == "cold" then [$f, $e | over($o)] else [($o | over($f)), ($o | over($e))] end) as $times
  | if $o == null then empty
    else ["  \($state), \($what)", ($o | digits(1)), ($f | digits(1)), ($e | digits(1)), ($times[0] | digits(2)),
          ($times[1] | digits(2))] | @tsv end;

(["read, MB/s (cold: s)", "overlayfs", "fuse", "erofs", "fuse times overlayfs", "erofs times overlayfs"] | @tsv),
row("cold"; "pull and read"),
(("in cache", "complete", "warm") as $state
 | row($state; "in order", "in order, mmap", "at random, 4 KiB", "at random, 4 KiB, mmap", "at random, 64 KiB, 32 readers")),
"",
(["bytes from the disk for each that was read", "overlayfs", "fuse", "erofs"] | @tsv),
(("in cache", "complete") as $state
 | disk_row($state; "in order", "in order, mmap", "at random, 4 KiB", "at random, 4 KiB, mmap", "at random, 64 KiB, 32 readers")),
""
