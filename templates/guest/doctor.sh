#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# doctor.sh – prints what may keep images from being lazy, beyond what look.sh prints. Changes nothing.
#
# Lines of "key value", a key as often as there are such things. The last line is "end".
LC_ALL=C
export LC_ALL
PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin:$PATH
program=/usr/local/bin/soci-snapshotter-grpc
socket=/run/soci-snapshotter-grpc/soci-snapshotter-grpc.sock

echo "finch-soci-doctor 1"
echo "clock $(date +%s)"
[ ! -c /dev/fuse ] || echo "fuse-device yes"
if "$program" --help 2>/dev/null </dev/null | grep -q 'soci-snapshotter-grpc probe '; then
    echo "probe $(timeout 30 "$program" probe --json 2>/dev/null </dev/null | head -n 1 | head -c 3000)"
fi

# disk NAME TOTAL FREE INODES FREE_INODES PATH; in bytes. The nearest directory that there is.
disk() {
    at=$2
    while [ ! -d "$at" ]; do at=${at%/*} && at=${at:-/}; done
    stat -f -c '%S %b %a %c %d' "$at" 2>/dev/null | while read -r size all free inodes free_inodes; do
        echo "disk $1 $((size * all)) $((size * free)) $inodes $free_inodes $2"
    done
}
disk boot /
disk data /var/lib/soci-snapshotter-grpc
disk images /var/lib/containerd
echo "cache $(du -sxk /var/lib/soci-snapshotter-grpc/layers 2>/dev/null | cut -f 1)"

for name in nerdctl /usr/libexec/finch/nerdctl; do
    ! command -v "$name" >/dev/null || echo "nerdctl $("$name" --version 2>/dev/null </dev/null | head -n 1)"
done

# Programs of this name that somebody may start; a link to another one is that one.
seen=
for dir in /usr/local/bin /usr/local/sbin /usr/bin /usr/sbin /bin /sbin /opt/*/bin /usr/libexec/finch /snap/bin; do
    [ -x "$dir/soci-snapshotter-grpc" ] || continue
    real=$(readlink -f "$dir/soci-snapshotter-grpc")
    case " $seen " in *" $real "*) continue ;; esac
    seen="$seen $real"
    echo "binary $dir/soci-snapshotter-grpc"
done

# unit NAME ACTIVE RESULT ENABLED PATH: those that start such a program.
seen=
for dir in /etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
    for file in "$dir"/*.service; do
        grep -qs '^ExecStart=.*soci-snapshotter-grpc' "$file" || continue
        name=${file##*/}
        case " $seen " in *" $name "*) continue ;; esac
        seen="$seen $name"
        echo "unit $name $(systemctl show -p ActiveState --value "$name" 2>/dev/null </dev/null | grep . || echo unknown)" \
            "$(systemctl show -p Result --value "$name" 2>/dev/null </dev/null | grep . || echo unknown)" \
            "$(systemctl show -p UnitFileState --value "$name" 2>/dev/null </dev/null | grep . || echo unknown) $file"
    done
done

# proxy NAME FILE FIRST LAST: entries of containerd's configuration that lead to such a snapshotter, and the lines of each,
# with the tables below it.
for file in /etc/containerd/config.toml /etc/containerd/conf.d/*.toml; do
    [ -f "$file" ] || continue
    awk -v "file=$file" '
        function tell() { if (leads) print "proxy", entry, file, first, last; leads = 0 }
        /^[ \t]*\[/ {
            line = $0
            gsub(/["\047 \t]/, "", line)
            name = ""
            if (line ~ /^\[proxy_plugins\.[^.]*[].]/) { name = line; sub(/^\[proxy_plugins\./, "", name); sub(/[].].*/, "", name) }
            if (name == "" || name != entry) { tell(); entry = name; first = NR }
        }
        /^[ \t]*[^# \t]/ { last = NR }
        entry != "" && /^[ \t]*address[ \t]*=.*soci/ { leads = 1 }
        END { tell() }' "$file"
done

# Who listens there. The kernel marks a socket that is listened on.
if [ -S "$socket" ]; then
    if grep -q "^[^ ]* [^ ]* [^ ]* 00010000 .* $socket\$" /proc/net/unix; then
        pid=$(ss -xlpH 2>/dev/null </dev/null | grep -F " $socket " | sed -n 's/.*pid=\([0-9]*\).*/\1/p' | head -n 1)
        echo "socket listens ${pid:-0} $([ -z "$pid" ] || readlink "/proc/$pid/exe")"
    else
        echo "socket stale"
    fi
elif [ -e "$socket" ]; then
    echo "socket other"
else
    echo "socket none"
fi

if [ -d /sys/fs/selinux ] && [ -r /sys/fs/selinux/enforce ]; then
    echo "selinux $(cat /sys/fs/selinux/enforce)"
    denials=$({
        ausearch -m avc -ts boot 2>/dev/null
        journalctl -k -b --no-pager -q 2>/dev/null | grep 'avc: *denied'
    } </dev/null | grep -e 'comm="soci' -e 'comm="containerd' | grep 'denied' | tail -n 1 | head -c 300)
    [ -z "$denials" ] || echo "denied $denials"
fi
echo end
