# shellcheck shell=bash disable=SC2154 # variables are shared with lib.sh and the scripts
# SPDX-License-Identifier: Apache-2.0
# snapshots.sh – an image's file tree as a snapshotter shows it, outside of any container.

tree() { python3 -I "$E2E_ROOT/tests/e2e/lib/tree.py" "$@"; }

# chain_id DIFF_ID…: the name of the snapshot that holds these layers, lowest first.
chain_id() {
    local chain=$1
    shift
    for diff in "$@"; do
        chain=$(printf '%s %s' "$chain" "$diff" | sha256_of -)
    done
    echo "$chain"
}

# diff_ids NAME REF: of an image that containerd NAME has.
diff_ids() {
    local manifest config
    manifest=$(ctr_of "$1" image ls "name==$2" | awk 'NR == 2 { print $3 }')
    config=$(ctr_of "$1" content get "$manifest" | jq -r .config.digest)
    ctr_of "$1" content get "$config" | jq -r '.rootfs.diff_ids[]'
}

# snapshot_of NAME SNAPSHOTTER REF view|prepare: makes a snapshot of the image; prints its mount: type source options.
# A view may be collected at any time; the directories that it consists of are the image's, and stay.
snapshot_of() {
    local ids
    mapfile -t ids < <(diff_ids "$1" "$3")
    ctr_of "$1" snapshots --snapshotter "$2" "$4" --target /TARGET "key-$BASHPID-$RANDOM" "$(chain_id "${ids[@]}")" |
        sed -n 's|^mount -t \([^ ]*\) \([^ ]*\) /TARGET -o \(.*\)$|\1 \2 \3|p'
}

# mount_image NAME SNAPSHOTTER REF TARGET [prepare]: read-only, or with a writable layer on top.
mount_image() {
    local found type source options
    found=$(snapshot_of "$1" "$2" "$3" "${5:-view}")
    read -r type source options <<<"$found"
    mkdir -p "$4"
    case $type in
    bind) mount --bind "$source" "$4" ;;
    overlay) mount -t "$type" -o "$options" "$source" "$4" ;;
    *) fail "no mount for $3 by $2: $found" ;;
    esac
}

# mount_again TARGET: so that nothing is known of it any more.
mount_again() {
    local options
    options=$(findmnt -rn -o OPTIONS "$1")
    umount "$1"
    mount -t overlay -o "$options" overlay "$1"
}

# top_layer_dir NAME SNAPSHOTTER REF: where the image's uppermost layer alone is. It needs at least two layers.
top_layer_dir() { snapshot_of "$1" "$2" "$3" view | sed -n 's/.*lowerdir=\([^:,]*\):.*/\1/p'; }
