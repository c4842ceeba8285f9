# SPDX-License-Identifier: Apache-2.0
# start-table.jq – from the measurements of tests/bench/start to the lines of a table, tabs between the columns.
# Medians; "of full" is pull and first run together, over those of overlayfs in the same run.

def median: sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def digits($n): . * pow(10; $n) | round / pow(10; $n) | tostring;
def over($full): if $full == null or $full == 0 then "-" else . / $full | digits(2) end;

group_by([.image, .rtt_ms, .mbit])[]
| (map(select(.way == "overlayfs"))
   | if length == 0 then null
     else {total: (map(.pull_s + .first_s) | median), second: (map(.second_s) | median)} end) as $full
| (["\(.[0].image), \(.[0].rtt_ms) ms, \(.[0].mbit) Mbit/s", "pull s", "first s", "second s", "MB moved", "RSS MB",
    "of full", "second of full"] | @tsv),
  (group_by(.way)[]
   | (map(.pull_s) | median) as $pull
   | (map(.first_s) | median) as $first
   | (map(.second_s) | median) as $second
   | ["  " + .[0].way, ($pull | digits(1)), ($first | digits(1)), ($second | digits(2)),
      (map(.bytes) | median / 1e6 | digits(1)), (map(.rss_kib) | median / 1024 | digits(1)),
      (map(.pull_s + .first_s) | median | over($full.total)), ($second | over($full.second))] | @tsv),
  ""
