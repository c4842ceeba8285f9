#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# look.sh – prints what this machine holds. sh and coreutils, and programs that may be missing. Changes nothing.
#
# Lines of "key value". A file is "file KIND MODE UID GID SIZE SHA256 PATH" (KIND: file, link, dir, other, none), then its
# content where it is small text that matters, each line behind "|". The last line is "end".
LC_ALL=C
export LC_ALL
PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin:$PATH
state=/var/lib/finch-soci

# content COMMAND…: 256 KiB of it at most.
content() {
    "$@" 2>/dev/null | head -c 262144 | sed 's/^/|/'
    echo
}

file() {
    if [ -L "$1" ]; then
        echo "file link 0 0 0 0 - $1"
        echo "|$(readlink "$1")"
    elif [ -f "$1" ]; then
        sum=$(sha256sum <"$1")
        echo "file file $(stat -c '%a %u %g %s' "$1") ${sum%% *} $1"
        [ -z "$2" ] || content cat "$1"
    elif [ -d "$1" ]; then
        echo "file dir $(stat -c '%a %u %g' "$1") 0 - $1"
    elif [ -e "$1" ]; then
        echo "file other 0 0 0 0 - $1"
    else
        echo "file none 0 0 0 0 - $1"
    fi
}

# What systemd knows of UNIT under KEY; nothing where there is no systemd.
shown() { systemctl show -p "$2" --value "$1" 2>/dev/null </dev/null; }

# The file that the running containerd was told to read, else the usual one; links followed, since it is written anew.
containerd_config() {
    pid=$(shown containerd.service MainPID)
    told=''
    if [ "${pid:-0}" != 0 ] && [ -r "/proc/$pid/cmdline" ]; then
        told=$(tr '\0' '\n' <"/proc/$pid/cmdline" | awk '
            wanted { told = $0; wanted = 0; next }
            /^--?(c|config)$/ { wanted = 1 }
            /^--?(c|config)=/ { sub(/^[^=]*=/, ""); told = $0 }
            END { print told }')
    fi
    told=${told:-/etc/containerd/config.toml}
    readlink -f "$told" 2>/dev/null || echo "$told"
}

echo "finch-soci-facts 1"
echo "arch $(uname -m)"
[ ! -d /run/systemd/system ] || echo "systemd yes"
if [ -e /run/lima-boot-done ] || [ -e /run/lima-ssh-ready ] || [ -e /mnt/lima-cidata/lima.env ]; then echo "lima yes"; fi
[ ! -e /run/lima-boot-done ] || echo "boot-done $(head -c 100 /run/lima-boot-done | head -n 1) "
env=${SOCI_LIMA_ENV:-/mnt/lima-cidata/lima.env}
if [ -r "$env" ]; then
    for key in USER UID HOME VMTYPE; do
        echo "lima-$key $(sed -n "s/^LIMA_CIDATA_$key=//p" "$env" | tail -n 1)"
    done
fi
# In a distribution of WSL the directory of the user's config.json is on the Windows drive.
if [ -e /proc/sys/fs/binfmt_misc/WSLInterop ] || [ -d /run/WSL ]; then
    echo "finch-dir $(cat /home/*/.bashrc 2>/dev/null | sed -n 's/^ *\(export \)\{0,1\}FINCH_DIR=//p' | tail -n 1)"
fi
# The data disk is mounted over the directory of data, late in the boot.
[ ! -d /mnt/lima-finch ] || ! grep -q '^[^ ]* /var/lib/soci-snapshotter-grpc ' /proc/mounts || echo "data-disk yes"
[ ! -d /usr/libexec/finch ] || echo "libexec yes"
# What ours keeps there, and no other reads.
for database in /var/lib/soci-snapshotter-grpc/metadata.sqlite /var/lib/soci-snapshotter-grpc/*/metadata.sqlite; do
    [ ! -e "$database" ] || echo "our-data yes"
done

while read -r key value; do
    case $key in
    text) file "$value" text ;;
    plain) file "$value" '' ;;
    esac
done <<'END'
plain /usr/local/bin/soci
plain /usr/local/bin/soci-snapshotter-grpc
text /usr/local/lib/systemd/system/soci-snapshotter.service
text /usr/local/lib/systemd/system/soci-snapshotter.service.d/finch.conf
text /etc/systemd/system/soci-snapshotter.service.d/zz-finch-soci.conf
text /etc/systemd/system/multi-user.target.wants/soci-snapshotter.service
text /etc/systemd/system/containerd.service.d/zz-finch-soci.conf
text /etc/containerd/config.toml
text /etc/containerd/conf.d/zz-finch-soci.toml
text /etc/soci-snapshotter-grpc/config.toml
text /usr/lib/systemd/system/finch-soci.service
text /lib/systemd/system/finch-soci.service
text /etc/systemd/system/finch-soci.service
text /etc/systemd/system/finch-soci.service.d/zz-finch-soci.conf
text /usr/libexec/finch/soci
text /etc/finch/nerdctl/nerdctl.toml
END
config=$(containerd_config)
[ "$config" != /etc/containerd/config.toml ] || config=''
if [ -n "$config" ]; then
    echo "containerd-config $config"
    file "$config" text
fi
for path in /etc/containerd/conf.d/*.toml; do
    [ "$path" = /etc/containerd/conf.d/zz-finch-soci.toml ] || [ ! -f "$path" ] ||
        ! grep -q '^[^#]*unpack_config' "$path" || echo "foreign-unpack $path"
done

if command -v containerd >/dev/null; then
    echo "containerd $(containerd --version 2>/dev/null | head -n 1)"
    echo "effective"
    content containerd ${config:+--config "$config"} config dump
    echo "plugin $(ctr plugins ls 2>/dev/null | grep -E '^io.containerd.snapshotter.v1 +soci ' | tr -s ' ' | head -n 1)"
fi
for unit in soci-snapshotter finch-soci containerd; do
    [ ! -d /run/systemd/system ] ||
        echo "unit $unit $(systemctl is-active "$unit.service" 2>/dev/null </dev/null | head -n 1)"
done
for unit in soci-snapshotter finch-soci; do
    case $(systemctl is-active "$unit.service" 2>/dev/null </dev/null) in
    failed | activating) echo "unit-says $(last_words "$unit" 1)" ;;
    esac
done
# Beside the unit of Finch's package a second daemon; or a unit of that name that is not ours, and what it runs.
if [ -e /usr/lib/systemd/system/finch-soci.service ] || [ -e /lib/systemd/system/finch-soci.service ] ||
    [ -e /etc/systemd/system/finch-soci.service ]; then
    for unit in soci-snapshotter.service soci-snapshotter.socket; do
        if systemctl is-enabled "$unit" >/dev/null 2>&1 </dev/null || systemctl is-active "$unit" >/dev/null 2>&1 </dev/null; then
            echo "second-daemon $unit"
        fi
    done
fi
fragment=$(shown soci-snapshotter.service FragmentPath)
[ -z "$fragment" ] || [ "$fragment" = /usr/local/lib/systemd/system/soci-snapshotter.service ] ||
    echo "other-unit $fragment $(shown soci-snapshotter.service ExecStart | sed -n 's/.*path=\([^ ;]*\).*/\1/p' | head -n 1)"
# The reference takes a word that it does not know for none, and runs: a second daemon, which hangs.
if grep -qs soci.status.v1 /usr/local/bin/soci-snapshotter-grpc &&
    timeout 3 /usr/local/bin/soci-snapshotter-grpc status --json >/dev/null 2>&1 </dev/null; then
    echo "answers yes"
fi

# What ours was when it was put there: "ours SHA256 PATH".
for entry in "$state"/entries/*/; do
    [ -f "$entry/now" ] || continue
    path=$(cat "$entry/path")
    while read -r sum; do echo "ours $sum $path"; done <"$entry/now"
done
[ ! -e "$state/applied" ] || echo "applied $(head -n 1 "$state/applied")"
[ ! -e "$state/pending" ] || echo "pending $(tr '\n' ' ' <"$state/pending")"

# The data of another snapshotter, and containers that stand on it. Mounts tell those that run at no cost.
for root in /var/lib/soci-snapshotter-grpc /var/lib/finch/soci; do
    [ ! -e "$root/snapshotter/metadata.db" ] || file "$root/snapshotter/metadata.db" ''
    [ ! -e "$root/finch-soci-was" ] || echo "aside yes"
done
while read -r source where type options rest; do
    case $where:$options in
    /run/containerd/io.containerd.runtime.v2.task/*/rootfs:*=/var/lib/soci-snapshotter-grpc/* | \
        /run/containerd/io.containerd.runtime.v2.task/*/rootfs:*=/var/lib/finch/soci/*)
        where=${where#/run/containerd/io.containerd.runtime.v2.task/}
        echo "running ${where%/rootfs}"
        ;;
    esac
done </proc/mounts
echo "end ${source:+}${type:+}${rest:+}"
