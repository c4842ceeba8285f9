# SPDX-License-Identifier: Apache-2.0
# layers-table.jq – medians; "of overlayfs" is pull and first run together.
include "tables";

(["layers, \(.[0].rtt_ms) ms, \(.[0].mbit) Mbit/s", "", "pull s", "first s", "second s", "RSS MB", "of overlayfs"] | @tsv),
(group_by(.layers)[]
 | (map(select(.way == "overlayfs") | .pull_s + .first_s) | median) as $full
 | group_by(.way) | in_order[]
 | ["  \(.[0].layers)", .[0].way, (map(.pull_s) | median | digits(2)), (map(.first_s) | median | digits(2)),
    (map(.second_s) | median | digits(2)), (map(.rss_kib) | median | mib | digits(1)),
    (map(.pull_s + .first_s) | median | over($full) | digits(2))] | @tsv),
""
