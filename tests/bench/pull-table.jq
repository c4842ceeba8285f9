# SPDX-License-Identifier: Apache-2.0
# pull-table.jq – from the measurements of tests/bench/pull to the lines of a table, tabs between the columns. Medians;
# "times as fast" is over overlayfs in the same run.

def median: sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def digits($n): . * pow(10; $n) | round / pow(10; $n) | tostring;

group_by([.layers, .rtt_ms, .mbit])[]
| (map(select(.way == "overlayfs") | .pull_s) | if length == 0 then null else median end) as $full
| (["\(.[0].layers) layers, \(.[0].rtt_ms) ms, \(.[0].mbit) Mbit/s", "pull s", "least", "most", "MB moved", "peak MB",
    "times as fast"] | @tsv),
  (group_by(.way)[]
   | (map(.pull_s) | median) as $pull
   | ["  " + .[0].way, ($pull | digits(2)), (map(.pull_s) | min | digits(2)), (map(.pull_s) | max | digits(2)),
      (map(.bytes) | median / 1e6 | digits(1)), (map(.peak_kib) | median / 1024 | digits(1)),
      (if $full == null then "-" else $full / $pull | digits(2) end)] | @tsv),
  ""
