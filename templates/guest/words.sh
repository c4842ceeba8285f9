#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# words.sh – what a unit has said of its trouble; it stands in front of look.sh and apply.sh.

# said FIELD=VALUE…: what the journal has of it, of this boot, and since $began_s where that is set.
said() {
    journalctl -q --no-pager -o cat -b -n 20 ${began_s:+--since "@$began_s"} "$@" 2>/dev/null </dev/null 9>&- || true
}
# last_words UNIT LINES: in one line of printable text what it said itself, else what systemd says of it; nothing where nothing is
# known. systemctl only says where to look. Of our own lines of JSON the text and the reason count.
last_words() {
    command -v journalctl >/dev/null || return 0
    journalctl --sync 2>/dev/null </dev/null 9>&- || true
    words=$(said "_SYSTEMD_UNIT=$1.service" | grep -v '^{"level":"\(info\|debug\)"' |
        sed -E 's/^\{.*"msg":"(([^"\]|\\.)*)".*"(err|error)":"(([^"\]|\\.)*)".*/\1: \4/; s/\\"/"/g' |
        uniq | tail -n "$2")
    [ -n "$words" ] || words=$(said -u "$1.service" | tail -n "$2")
    printf '%s' "$words" | tr '\n' ' ' | tr -d '\000-\037\177' | head -c 400
}

