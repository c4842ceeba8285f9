#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check.sh – asks registries what the snapshotter would ask them, with its configuration and the credentials that it would
# find. Changes nothing.
#
# Input: a word a line, an image or "HOST/". For each a line: JSON as docs/doctor.md has it, or a text where nothing could be
# asked. The last line is "end".
LC_ALL=C
export LC_ALL
PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin:$PATH
program=/usr/local/bin/soci-snapshotter-grpc

# A word that another snapshotter does not know would start it.
if ! "$program" --help 2>/dev/null </dev/null | grep -q 'soci-snapshotter-grpc check '; then
    echo "the snapshotter that is installed cannot check images" >&2
    exit 1
fi

# Of the daemon that runs; one that does not run would find its credentials by itself.
pid=
for unit in soci-snapshotter finch-soci; do
    number=$(systemctl show -p MainPID --value "$unit.service" 2>/dev/null </dev/null)
    case $number in
    '' | 0 | *[!0-9]*) ;;
    *) pid=${pid:-$number} ;;
    esac
done
config=
[ -z "$pid" ] || config=$(tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null |
    sed -n -e '/^--\{0,1\}-config$/{n;p;}' -e 's/^--\{0,1\}-config=//p' | tail -n 1)

# shellcheck disable=SC2016 # it is for a shell of its own, which gets the daemon's variables as words
ask='
    program=$1 config=$2 word=$3
    shift 3
    answer=$(env ${1+-i} "$@" timeout 90 "$program" check ${config:+--config "$config"} --json "$word" 2>&1 </dev/null |
        head -c 4000000)
    printf "%s\n" "$answer" | head -n 1
'
while IFS= read -r word; do
    [ -n "$word" ] || continue
    if [ -n "$pid" ] && [ -r "/proc/$pid/environ" ]; then
        xargs -0 sh -c "$ask" sh "$program" "$config" "$word" <"/proc/$pid/environ"
    else
        sh -c "$ask" sh "$program" '' "$word"
    fi
done
echo end
