# SPDX-License-Identifier: Apache-2.0
# memory-table.jq – as measured, once.
include "tables";

(["memory, images python and files", "", "RSS MB", "anonymous MB", "peak MB"] | @tsv),
(.[] | ["  " + .way, .when, (.rss_kib | mib | digits(1)), (.anon_kib | mib | digits(1)), (.peak_kib | mib | digits(1))] | @tsv),
""
