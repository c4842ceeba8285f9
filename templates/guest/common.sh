#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# common.sh – what apply.sh and undo.sh share; it stands in front of them.
#
# /var/lib/finch-soci holds, for each path that was ever changed, entries/NAME/{path,was,now}: `was` is what was there
# (missing: nothing), `now` what we put there, a digest to a line. An entry is complete before its path is touched.
# pending: what is still to be reloaded or restarted; written before the change that needs it, gone at the end.
set -eu
LC_ALL=C
export LC_ALL
PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin:$PATH
umask 022
state=/var/lib/finch-soci
points=0
# The daemon's data.
use_root() {
    root=$1
    aside=$root/finch-soci-was
    before=$root/.finch-soci-before # what was there before ours; it stays with the data, on its disk
}
use_root "$(cat "$state/root" 2>/dev/null || echo /var/lib/soci-snapshotter-grpc)"

die() {
    echo "$*" >&2
    exit 1
}
# Where a test may have the machine lose its power.
point() {
    points=$((points + 1))
    [ "$points" != "${FINCH_SOCI_STOP_AT:-}" ] || kill -KILL $$
}
# None of those that we start may inherit the lock, or our input.
quiet() { "$@" </dev/null 9>&-; }

lock() {
    command -v flock >/dev/null || die "there is no flock(1) here"
    exec 9>/run/finch-soci.lock
    flock -n 9 && return
    echo "note another finch-soci works on this machine: waiting for it"
    flock -w 600 9 || die "another finch-soci has worked on this machine for 10 minutes"
}

durable() { sync "$@" 2>/dev/null || sync; }
name_of() { printf '%s' "$1" | tr / %; }

# What is at a path, in a word.
what_is() {
    if [ -L "$1" ]; then
        echo "link:$(readlink "$1")"
    elif [ -f "$1" ]; then
        sum=$(sha256sum <"$1")
        echo "${sum%% *}"
    elif [ -d "$1" ]; then
        echo dir
    elif [ -e "$1" ]; then
        echo other
    else
        echo none
    fi
}

want() {
    for effect in $(echo "$1" | tr , ' '); do
        case $effect in none | pending | verify) continue ;; esac
        grep -qx "$effect" "$state/pending" 2>/dev/null && continue
        { cat "$state/pending" 2>/dev/null || true; } >"$state/pending.new"
        echo "$effect" >>"$state/pending.new"
        durable "$state/pending.new"
        mv -f "$state/pending.new" "$state/pending"
    done
}
is_wanted() { grep -qx "$1" "$state/pending" 2>/dev/null; }

# Which mounts below the data are there: the deepest first.
unmount_layers() {
    awk -v root="$root/" 'index($2, root) == 1 { print length($2), $2 }' /proc/mounts | sort -rn | while read -r _ where; do
        umount "$where" 2>/dev/null || umount -l "$where" || true
    done
}

namespaces() { quiet ctr namespaces ls -q 2>/dev/null || true; }
# "NAMESPACE ID" of each container, running or not, whose files are in the snapshotter soci.
containers() {
    for ns in $(namespaces); do
        for id in $(quiet ctr -n "$ns" containers ls -q 2>/dev/null); do
            ! quiet ctr -n "$ns" containers info "$id" 2>/dev/null | grep -q '"Snapshotter": "soci"' || echo "$ns $id"
        done
    done
}
running_containers() {
    containers | while read -r ns id; do
        ! grep -qF "/$ns/$id/rootfs " /proc/mounts || echo "$ns $id"
    done
}
# names CONTAINERS: ten of them, as people read it.
names() {
    echo "$1" | awk '
        { list = list (NR > 1 && NR <= 10 ? ", " : "") (NR <= 10 ? substr($2, 1, 12) : "") }
        END { print list (NR > 10 ? " and " NR - 10 " more" : "") }'
}
# Where what a container has written lies: the upper directory of its snapshot. Nothing where that cannot be told.
written_by() {
    key=$(quiet ctr -n "$1" containers info "$2" 2>/dev/null | sed -n 's/^ *"SnapshotKey": "\(.*\)",*$/\1/p' | head -n 1)
    [ -n "$key" ] || return 0
    quiet ctr -n "$1" snapshots --snapshotter soci mounts /mnt "$key" 2>/dev/null |
        sed -n 's/.*[ ,]upperdir=\([^, ]*\).*/\1/p' | head -n 1
}
# It has to be asked, and told what to forget.
start_containerd() {
    [ -d /run/systemd/system ] || return 0
    quiet systemctl is-active containerd.service >/dev/null 2>&1 || quiet systemctl start containerd.service 2>/dev/null || true
}
# Images that have a snapshot there: by the labels that keep their contents, from the configuration upwards.
images() {
    {
        quiet ctr -n "$1" content ls
        echo images
        quiet ctr -n "$1" images ls
    } 2>/dev/null | awk '
        BEGIN { n = 0 } # unset, it would be "" as a subscript, and 0 once it counts
        $1 == "images" { listed = 1; again = 1
            while (again) {
                again = 0
                for (i = 0; i < n; i++) {
                    if (digest[i] in mine) continue
                    for (d in mine) if (index(labels[i], "=" d)) { mine[digest[i]] = 1; again = 1; break }
                }
            }
            next
        }
        !listed && $1 ~ /^sha256:/ { digest[n] = $1; labels[n++] = $0; if (index($0, "gc.ref.snapshot.soci=")) mine[$1] = 1 }
        listed && $1 != "REF" && ($3 in mine) { print $1 }'
}
# Whatever containerd knows of the snapshotter soci is forgotten, by containerd: nothing is left that it believes to be
# there. The images have to be pulled again; they are named.
forget_images() {
    for ns in $(namespaces); do
        for image in $(images "$ns"); do
            echo "note removed image $image (pull it again)"
            quiet ctr -n "$ns" images rm --sync "$image" >/dev/null 2>&1 || true
        done
        tries=0
        while left=$(quiet ctr -n "$ns" snapshots --snapshotter soci ls 2>/dev/null | awk 'NR > 1 { print $1 }') &&
            [ -n "$left" ]; do
            tries=$((tries + 1))
            [ $tries -le 128 ] || die "containerd does not let go of snapshots in its namespace $ns"
            for key in $left; do quiet ctr -n "$ns" snapshots --snapshotter soci rm "$key" >/dev/null 2>&1 || true; done
        done
    done
}

# What is in the directory of data and is not what was put aside.
is_other() {
    case $1 in "$aside" | "$before") return 1 ;; esac
    [ -e "$1" ] || [ -L "$1" ]
}
# A data disk outlives its machine, and the other was started on what ours had kept there. It cannot use that, and trips over
# the directories of snapshots, which have the names of its own; those of its own belong to nothing any more by now.
drop_older_of_ours() {
    [ -e "$root/snapshotter/metadata.sqlite" ] || return 0
    for path in "$root"/layers "$root"/lock "$root"/artifacts.sqlite* "$root"/snapshotter/reserve \
        "$root"/snapshotter/unpack "$root"/snapshotter/snapshots/* "$root"/snapshotter/metadata.sqlite-* \
        "$root"/snapshotter/metadata.sqlite; do
        rm -rf --one-file-system "$path"
    done
}
# The other's data goes aside, in the same file system; its own directory may be a mount. Both can be done again.
move_aside() {
    mkdir -p "$aside"
    chmod 0700 "$aside"
    for path in "$root"/* "$root"/.[!.]*; do
        ! is_other "$path" || mv "$path" "$aside/"
    done
}
move_back() {
    for path in "$aside"/* "$aside"/.[!.]*; do
        [ -e "$path" ] || [ -L "$path" ] || continue
        mv "$path" "$root/"
    done
    rmdir "$aside"
}
