# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with lib.sh and the scripts
# SPDX-License-Identifier: Apache-2.0
# keep.sh – images that are pulled as a whole, and whether their layers are in containerd's content store.

mode='[pull_modes.parallel_pull_unpack]'
layers=() # of the last image

# image NAME SEED: 5 layers, of which two are the same.
image() {
    layers=()
    layer_base
    layers+=("$last_layer")
    layer_data small 1000 "$2"
    layers+=("$last_layer")
    layer_data large 9000000 "$2"
    layers+=("$last_layer")
    layer_data small 1000 "$2" # the same again
    layer_begin
    echo plain >"$layer/plain"
    tar -C "$layer" --mtime=@1700000000 --owner=0 --group=0 -cf "$work/plain.tar" .
    layer_file "$work/plain.tar"
    layers+=("$last_layer")
    image_push "$1"
}

# keeping NAME [LINE…]: a snapshotter whose layers go to containerd's store. Lines of the table content_store come last.
keeping() {
    containerd_start "$1"
    snapshotter_start "$1" "${@:2}" "$mode" 'enable = true' 'discard_unpacked_layers = false' '[pull_modes.soci_v1]' \
        'enable = true'
}

# The configuration ends with the table content_store.
snapshotter_start() {
    local name=$1 address=${store_address:-/run/containerd-$1/containerd.sock}
    shift
    mkdir -p "$work/soci-$name" "/run/soci-$name"
    printf '%s\n' "$@" '[content_store]' "type = \"${store_type:-containerd}\"" "containerd_address = \"$address\"" \
        >"$work/soci-$name.toml"
    start "soci-$name" soci-snapshotter-grpc --address "/run/soci-$name/snapshotter.sock" \
        --root "$work/soci-$name" --config "$work/soci-$name.toml" --log-level debug
    wait_for 20 "snapshotter" grep -q 'successfully started' "$logs/soci-$name.log"
}

# labels_of NAME DIGEST: of a blob, one on a line, without those of time.
labels_of() {
    ctr_of "$1" content ls | awk -v digest="$2" '$1 == digest { print $NF }' | tr ',' '\n' | sort
}

has() { ctr_of "$1" content ls -q | grep -cx "$2" >/dev/null; } # to its end
kept_layers() {
    local digest count=0
    for digest in "${layers[@]}"; do
        ! has "$1" "$digest" || count=$((count + 1))
    done
    echo $count
}
by_us() { grep -c '"local-snapshot-prepared":"true"' "$logs/soci-$1.log" || true; }
not_kept() { grep -c '"level":"warn.*is not kept in containerd' "$logs/soci-$1.log" || true; }
# collect NAME: garbage.
collect() { ctr_of "$1" leases delete --sync "$(ctr_of "$1" leases create)" >>"$logs/ctr.log"; }
