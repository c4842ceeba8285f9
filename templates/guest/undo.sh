#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # state, root, aside and before are set in common.sh
# undo.sh – everything back as it was before the first apply. Input: "purge" or "keep". Output as apply.sh's, and
# "nothing" when nothing of ours is here.

# A file of which a block is ours: the block goes, what it had commented out comes back.
without_block() {
    awk '
        function out(line) { if (started) printf "\n"; printf "%s", line; started = 1 }
        /^# finch-soci begin/ { inside = 1; if ($0 ~ /no newline/) bare = 1; next }
        /^# finch-soci end/ { inside = 0; next }
        inside { next }
        { sub(/^#finch-soci-was: /, ""); out($0) }
        END { if (started && !bare) printf "\n" }' "$1"
}

put_back() {
    rm -f "$2.finch-soci-new"
    cp -a "$1" "$2.finch-soci-new"
    mv -fT "$2.finch-soci-new" "$2"
    ! command -v restorecon >/dev/null || quiet restorecon "$2" 2>/dev/null || true
}

undo_block() {
    without_block "$2" >"$state/text"
    if [ -f "$1/was" ] && cmp -s "$state/text" "$1/was"; then
        put_back "$1/was" "$2"
    elif [ ! -e "$1/was" ] && [ ! -s "$state/text" ]; then
        rm -f "$2"
    else
        cp -a "$2" "$2.finch-soci-new"
        cat "$state/text" >"$2.finch-soci-new"
        mv -fT "$2.finch-soci-new" "$2"
    fi
    rm -f "$state/text"
}

undo_entry() {
    path=$(cat "$1/path")
    is=$(what_is "$path")
    rm -f "$path.finch-soci-new"
    if grep -qx dir "$1/now"; then
        rmdir "$path" 2>/dev/null || true
    elif [ "$(cat "$1/kind" 2>/dev/null)" = block ] && [ -f "$path" ]; then
        echo "step take our part out of $path"
        undo_block "$1" "$path"
    elif grep -qxF "$is" "$1/now" || { [ "$is" = none ] && [ -e "$1/was" ]; }; then
        if [ -e "$1/was" ] || [ -L "$1/was" ]; then
            echo "step put back $path"
            put_back "$1/was" "$path"
        else
            echo "step remove $path"
            rm -f "$path"
        fi
    elif [ "$is" != none ] && [ "$is" != "$(what_is "$1/was")" ]; then
        echo "note $path was changed since and stays"
    fi
    point
    rm -rf "$state/gone"
    mv "$1" "$state/gone"
    rm -rf "$state/gone"
}

is_listed() { cut -d' ' -f4- "$before" | grep -qxF -- "$1"; }

# All that the first apply did not find there. It listed three levels; what lies deeper is not looked into.
purge_data() {
    rm -f "$before.new"
    [ -e "$before" ] || return 0
    echo "step remove what was loaded"
    dirs=$(find "$root" -xdev -maxdepth 2 -type d) # before anything of it goes
    while read -r dir; do
        [ "$dir" = "$root" ] || is_listed "$dir" || continue
        for path in "$dir"/* "$dir"/.[!.]*; do
            is_other "$path" || continue
            is_listed "$path" || rm -rf --one-file-system "$path"
        done
    done <<END
$dirs
END
    while read -r mode uid gid path; do
        [ -e "${path:-/nonexistent}" ] || continue
        chown "$uid:$gid" "$path"
        chmod "$mode" "$path"
    done <"$before"
    is_listed "$root" && rm -f "$before" && return
    rm -f "$before"
    rmdir "$root" 2>/dev/null || true
}

restore_data() {
    echo "step bring back the data of the snapshotter that was here"
    if [ -e "$state/swapped" ]; then
        for path in "$root"/* "$root"/.[!.]*; do
            is_other "$path" || continue
            rm -rf --one-file-system "$path"
        done
        mv "$state/swapped" "$state/restoring"
        durable "$state"
    fi
    point
    rm -rf --one-file-system "$aside/finch-soci-containers"
    [ ! -d "$aside" ] || move_back
    rm -f "$before"
}

# busy CONTAINERS HOW: they would lose their files.
busy() {
    echo "containers use the snapshotter; $2: $(names "$1")" >&2
    exit 45
}

# Images of the namespace that ours alone has unpacked, and of which a layer was never downloaded as a whole.
not_whole() {
    {
        quiet ctr -n "$1" content ls
        echo images
        quiet ctr -n "$1" images ls
    } 2>/dev/null | awk '
        function is_ours(text) {
            return gsub(/gc\.ref\.snapshot\.soci=/, "", text) > 0 && text !~ /gc\.ref\.snapshot\./
        }
        function lacks(digest, depth,    text, child, key, ours, missing) {
            text = line[digest]
            while (match(text, /gc\.ref\.content[A-Za-z0-9_.\/-]*=sha256:[0-9a-f]+/)) {
                key = child = substr(text, RSTART, RLENGTH)
                text = substr(text, RSTART + RLENGTH)
                sub(/=.*/, "", key)
                sub(/.*=/, "", child)
                if (!(child in line)) missing = missing || key ~ /\.l\.[0-9]+$/
                else if (is_ours(line[child])) ours = 1
                else if (depth > 0 && lacks(child, depth - 1)) return 1
            }
            return ours && missing
        }
        $1 == "images" && NF == 1 { listed = 1; next }
        !listed && $1 ~ /^sha256:/ { line[$1] = $0 }
        listed && ($3 in line) && lacks($3, 2) { print $1 }'
}
# They are kept, as their layers are: who runs them without ours is told that something is missing.
name_not_whole() {
    for ns in $(namespaces); do
        for image in $(not_whole "$ns"); do
            echo "note image $image is not whole without the snapshotter: pull it again, or remove it, before it is run"
        done
    done
}

# An earlier undo has kept the data, and in it the list of what was there before: the rest is ours, unless somebody else
# has come to work in the same directory. containerd forgets without the snapshotter, too.
purge_kept() {
    for kept in /var/lib/soci-snapshotter-grpc /var/lib/finch/soci; do
        use_root "$kept"
        [ -e "$before" ] || continue
        for other in /usr/local/bin/soci-snapshotter-grpc "$root/snapshotter/metadata.db"; do
            [ ! -e "$other" ] || die "another snapshotter works in $root ($other), where the layers that were loaded lie" \
                "too: remove it with its data, then these"
        done
        start_containerd
        there=$(containers)
        # containerd does not remove a container of a snapshotter that it has not got.
        [ -z "$there" ] || busy "$there" "say \`finch-soci enable\`, remove them, then this again"
        forget_images
        point
        purge_data
        return 0
    done
    echo nothing
}

purge=$(cat)
lock
if [ ! -d "$state" ]; then
    if [ "$purge" = purge ]; then purge_kept; else echo nothing; fi
    exit 0
fi
has_systemd=no
[ ! -d /run/systemd/system ] || has_systemd=yes
is_ours=no
[ ! -e "$state/applied" ] || is_ours=yes
had_data=no
for mark in swapping swapped restoring; do [ ! -e "$state/$mark" ] || had_data=yes; done
start_containerd
# What is stopped finds its files again when ours comes back; not so when they go.
if [ "$purge" = purge ] || [ $had_data = yes ]; then there=$(containers); else there=$(running_containers); fi
[ -z "$there" ] || [ -e "$state/undoing" ] || busy "$there" "remove them first"
point
if { [ "$purge" = purge ] || [ $had_data = yes ]; } && [ $is_ours = yes ] && [ ! -e "$state/undoing" ]; then
    forget_images
elif [ $is_ours = yes ] && [ ! -e "$state/undoing" ]; then
    name_not_whole
fi
: >"$state/undoing"
want reload,daemon
for unit in soci-snapshotter finch-soci; do
    [ $has_systemd = no ] || quiet systemctl stop "$unit.service" 2>/dev/null || true
done
unmount_layers
point
[ $had_data = no ] || restore_data
[ "$purge" != purge ] || [ $had_data = yes ] || purge_data
point
for entry in "$state"/entries/*%containerd%*; do [ ! -e "$entry" ] || want containerd; done
! grep -qx block "$state"/entries/*/kind 2>/dev/null || want containerd # wherever its file is
find "$state/entries" -mindepth 1 -maxdepth 1 2>/dev/null | sort -r >"$state/list"
while read -r entry <&3; do undo_entry "$entry"; done 3<"$state/list"
point
if [ $has_systemd = yes ]; then
    echo "step restart what changed"
    quiet systemctl daemon-reload || true
    if is_wanted containerd; then
        quiet systemctl restart containerd.service || die "containerd does not start: journalctl -u containerd"
    fi
    for unit in soci-snapshotter finch-soci; do
        ! quiet systemctl is-enabled "$unit.service" >/dev/null 2>&1 || quiet systemctl start "$unit.service" || true
    done
fi
rm -rf "$state"
