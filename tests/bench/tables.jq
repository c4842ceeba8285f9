# SPDX-License-Identifier: Apache-2.0
# tables.jq – what the tables of all parts share.

def median: sort | if length == 0 then null elif length % 2 == 1 then .[length / 2 | floor]
                   else (.[length / 2 - 1] + .[length / 2]) / 2 end;
# A number with n digits behind the point, all of them; "-" for what there is none of.
def digits($n): if . == null then "-"
                else . * pow(10; $n) | round | tostring
                     | if $n == 0 then . else ("000000" + .)[-([length, $n + 1] | max):] | .[:-$n] + "." + .[-$n:] end end;
def over($yardstick): if . == null or $yardstick == null or $yardstick == 0 then null else . / $yardstick end;
# The ways in the order in which one compares them.
def in_order: sort_by(.[0].way as $way | ["overlayfs", "erofs", "auto", "fuse", "learned"] | index($way) // 9);
def mib: if . == null then null else . / 1024 end;
