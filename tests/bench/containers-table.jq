# SPDX-License-Identifier: Apache-2.0
# containers-table.jq – medians; "of overlayfs" is pull and the first time together.
include "tables";

(map(select(.way == "overlayfs"))
 | {total: (map(.pull_s + .first_s) | median), second: (map(.second_s) | median)}) as $full
| (["\(.[0].containers) containers at once", "pull s", "all s", "again s", "RSS MB", "peak MB", "of overlayfs",
    "again of overlayfs"] | @tsv),
  (group_by(.way) | in_order[]
   | ["  " + .[0].way, (map(.pull_s) | median | digits(2)), (map(.first_s) | median | digits(2)),
      (map(.second_s) | median | digits(2)), (map(.rss_kib) | median | mib | digits(1)),
      (map(.peak_kib) | median | mib | digits(1)), (map(.pull_s + .first_s) | median | over($full.total) | digits(2)),
      (map(.second_s) | median | over($full.second) | digits(2))] | @tsv),
  ""
