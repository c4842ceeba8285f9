#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# mend.sh – does what is safe: starts a unit that does not run, removes a socket on which nobody listens. Looks again first,
# so that what has changed since is left alone.
#
# Input: a line "start UNIT" or "remove-socket". For each a line of what was done, or not. The last line is "end".
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

while read -r verb name; do
    case $verb:$name in
    start:soci-snapshotter.service | start:finch-soci.service) start "$name" ;;
    remove-socket:) remove_socket ;;
    *) echo "what is $verb?" ;;
    esac
done </dev/stdin
echo end
