# SPDX-License-Identifier: Apache-2.0
# mount-table.jq – medians.
include "tables";

(["mount by files", "", "pull s", "mount ms", "RSS MB", "anonymous MB", "peak MB", "of overlayfs"] | @tsv),
(group_by(.files)[]
 | (map(select(.way == "overlayfs") | .pull_s) | median) as $full
 | group_by(.way) | in_order[]
 | ["  \(.[0].files)", .[0].way, (map(.pull_s) | median | digits(2)), (map(.mount_ms | values) | median | digits(0)),
    (map(.rss_kib) | median | mib | digits(1)), (map(.anon_kib) | median | mib | digits(1)),
    (map(.peak_kib) | median | mib | digits(1)), (map(.pull_s) | median | over($full) | digits(2))] | @tsv),
""
