#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# mend.sh – does what is safe: starts a unit that does not run, removes a socket on which nobody listens, loads FUSE's module,
# sets the clock. Looks again first, so that what has changed since is left alone.
#
# Input: lines "start UNIT", "remove-socket", "load-fuse", "set-clock SECONDS". For each a line of what was done, or not. The last line
# is "end".
LC_ALL=C
export LC_ALL
PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin:$PATH
socket=/run/soci-snapshotter-grpc/soci-snapshotter-grpc.sock

start() {
    if systemctl -q is-active "$1"; then
        echo "$1 runs already"
        return
    fi
    systemctl reset-failed "$1" 2>/dev/null
    if timeout 60 systemctl start "$1" 2>/dev/null && systemctl -q is-active "$1"; then
        echo "started $1"
    else
        echo "$1 does not start: $(systemctl show -p Result --value "$1")"
    fi
}

remove_socket() {
    if [ -S "$socket" ] && ! grep -q "^[^ ]* [^ ]* [^ ]* 00010000 .* $socket\$" /proc/net/unix; then
        rm -f "$socket" && echo "removed $socket, on which nobody listened"
    else
        echo "left $socket: somebody listens there now, or it is gone"
    fi
}

load_fuse() {
    if said=$(modprobe fuse 2>&1 </dev/null) && [ -c /dev/fuse ]; then
        echo "loaded the kernel's module fuse"
    else
        echo "the kernel's module fuse cannot be loaded${said:+: $(printf '%s\n' "$said" | head -n 1)}"
    fi
}

# set_clock SECONDS: of the host's clock. What keeps the clock here knows better, where it knows. WSL's is the host's, and
# falls behind while that sleeps.
set_clock() {
    if systemctl -q is-active chronyd || systemctl -q is-active chrony; then
        chronyc makestep
    elif systemctl -q is-active systemd-timesyncd; then
        systemctl restart systemd-timesyncd
    elif grep -qi microsoft /proc/sys/kernel/osrelease; then
        hwclock --hctosys
    fi >/dev/null 2>&1 </dev/null
    off=$(($(date +%s) - $1))
    [ "${off#-}" -lt 20 ] || date "--set=@$1" >/dev/null 2>&1
    off=$(($(date +%s) - $1))
    if [ "${off#-}" -lt 20 ]; then
        echo "set the machine's clock"
    else
        echo "the machine's clock cannot be set"
    fi
}

while read -r verb name; do
    case $verb:$name in
    set-clock:*[!0-9]*) echo "what time is $name?" ;;
    set-clock:?*) set_clock "$name" ;;
    load-fuse:) load_fuse ;;
    start:soci-snapshotter.service | start:finch-soci.service) start "$name" ;;
    remove-socket:) remove_socket ;;
    *) echo "what is $verb?" ;;
    esac
done </dev/stdin
echo end
