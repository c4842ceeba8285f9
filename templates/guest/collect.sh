#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# collect.sh – prints logs and facts for a support archive. Changes nothing; the host takes secrets out of it before it writes
# anything down.
#
# "section NAME BYTES", then so many bytes, again and again. The last line is "end".
LC_ALL=C
export LC_ALL
PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin:$PATH
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
most=400000 # bytes of a section: the end of what is longer

# section NAME COMMAND…
section() {
    name=$1
    shift
    timeout 20 "$@" </dev/null 2>&1 | tail -c $most >"$scratch/out"
    echo "section $name $(wc -c <"$scratch/out")"
    cat "$scratch/out"
}
# file NAME PATH: what is in it, where it is a file.
file() { [ ! -f "$2" ] || section "$1" cat "$2"; }

section system.txt sh -c 'uname -a; cat /etc/os-release; cat /proc/cmdline; uptime; free -k; df -k; df -i; date -u'
section mounts.txt cat /proc/mounts
section units.txt systemctl --no-pager --full status soci-snapshotter.service finch-soci.service containerd.service
section unit-files.txt systemctl --no-pager cat soci-snapshotter.service finch-soci.service containerd.service
section snapshotter.log journalctl --no-pager -q -n 4000 -u soci-snapshotter.service -u finch-soci.service
section containerd.log journalctl --no-pager -q -n 1500 -u containerd.service
section kernel.log sh -c 'journalctl --no-pager -q -k -n 1000 | grep -i -e fuse -e erofs -e overlay -e avc -e oom -e "I/O error"'
section boot.log sh -c 'tail -n 500 /var/log/cloud-init-output.log /var/log/lima-init.log 2>/dev/null'
file containerd-config.toml /etc/containerd/config.toml
for part in /etc/containerd/conf.d/*.toml; do
    part=${part##*/}
    case $part in
    *[!a-z0-9.-]*) ;;
    *) file "containerd-conf.d-$part" "/etc/containerd/conf.d/$part" ;;
    esac
done
section containerd-plugins.txt ctr plugins ls
file config.toml /etc/soci-snapshotter-grpc/config.toml
file nerdctl.toml /etc/nerdctl/nerdctl.toml
# shellcheck disable=SC2016 # a shell of its own
section images.txt sh -c 'ctr namespaces ls -q | while read -r ns; do echo "$ns:"; ctr -n "$ns" images ls; ctr -n "$ns" containers ls; done'
if /usr/local/bin/soci-snapshotter-grpc --help 2>/dev/null | grep -q 'soci-snapshotter-grpc probe '; then
    section status.json soci-snapshotter-grpc status --json
    section status.txt soci-snapshotter-grpc status
    section probe.json soci-snapshotter-grpc probe --json
fi
section notes.txt sh -c 'cd /var/lib/finch-soci && find . -type f | sort && head -n 3 applied pending 2>/dev/null'
n=0
for config in /home/*/.finch-vm-config/config.json /root/.docker/config.json; do
    n=$((n + 1))
    file "docker-config-$n.json" "$config"
done
echo end
