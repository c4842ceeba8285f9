# SPDX-License-Identifier: Apache-2.0
# walk-table.jq – the least of all rounds, in milliseconds: what a machine with nothing else to do takes; and over that of
# overlayfs in the same run.
include "tables";

def least($what; $way): map(select(.what == $what and .way == $way) | .ms) | min;

. as $all
| (["walk, \(.[0].entries) entries", "overlayfs ms", "fuse ms", "erofs ms", "fuse of overlayfs", "erofs of overlayfs"] | @tsv),
  (("walk, cold", "walk, anew", "walk, warm", "lstat, warm", "read all, cold", "read all, warm") as $what
   | ($all | least($what; "overlayfs")) as $o | ($all | least($what; "fuse")) as $f | ($all | least($what; "erofs")) as $e
   | ["  " + $what, ($o | digits(0)), ($f | digits(0)), ($e | digits(0)), ($f | over($o) | digits(2)),
      ($e | over($o) | digits(2))] | @tsv),
  ""
