# SPDX-License-Identifier: Apache-2.0
# start-table.jq – medians; "of full" is pull and first run together, over those of overlayfs in the same run. Link use is
# what came down the line, over what it could have carried while somebody waited for a span.
include "tables";

group_by([.image, .rtt_ms, .mbit])[]
| (map(select(.way == "overlayfs"))
   | {total: (map(.pull_s + .first_s) | median), second: (map(.second_s) | median)}) as $full
| (["\(.[0].image), \(.[0].rtt_ms) ms, \(.[0].mbit) Mbit/s", "pull s", "first s", "second s", "MB moved", "RSS MB",
    "of full", "second of full", "link use"] | @tsv),
  (group_by(.way) | in_order[]
   | ["  " + .[0].way, (map(.pull_s) | median | digits(1)), (map(.first_s) | median | digits(1)),
      (map(.second_s) | median | digits(2)), (map(.bytes) | median / 1e6 | digits(1)),
      (map(.rss_kib) | median | mib | digits(1)), (map(.pull_s + .first_s) | median | over($full.total) | digits(2)),
      (map(.second_s) | median | over($full.second) | digits(2)),
      (if .[0].way == "overlayfs" then "-" else map(.link_use | values) | median | digits(2) end)] | @tsv),
  ""
