# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with lib.sh and the scripts
# SPDX-License-Identifier: Apache-2.0
# images.sh – small images made of directories or layer files, and pushed with plain HTTP requests.
#
#   layer_begin; … put files into $layer …; layer_end     makes a layer; its digest is in $last_layer
#   layer_file FILE                                       takes a ready layer (gzip, zstd or plain tar)
#   image_push NAME                                       pushes those layers as $registry/NAME, forgets them
#
# The same calls give the same digests, whenever and wherever.

blobs=$work/blobs # sha256:<hex> of everything made here
layer=
last_layer=
image_layers=()  # digests, lowest first
image_diffs=()   # their diff IDs
image_env=       # one more variable of the environment

sha256_of() { sha256sum "${1:--}" | sed 's/^\([0-9a-f]*\).*/sha256:\1/'; }

# random_bytes COUNT SEED: that do not compress, and are always the same.
random_bytes() {
    python3 -c 'import random, sys
r = random.Random(int(sys.argv[2])); n = int(sys.argv[1])
while n > 0:
    sys.stdout.buffer.write(r.randbytes(min(n, 1 << 20))); n -= 1 << 20' "$1" "$2"
}

layer_begin() {
    layer=$work/layer
    rm -rf "$layer"
    mkdir -p "$layer" "$blobs"
}

# All files are root's.
layer_end() { layer_pack --owner=0 --group=0; }

# Files are whose they are, with all their attributes.
layer_end_own() { layer_pack --xattrs-include='*'; }

layer_pack() {
    tar -C "$layer" --sort=name --mtime=@1700000000 --numeric-owner "$@" --xattrs \
        --format=posix --pax-option='exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime' -cf - . |
        gzip -n -6 >"$work/layer.tar.gz"
    rm -rf "$layer"
    layer_file "$work/layer.tar.gz"
}

# layer_file FILE: .gz or .zst by its first bytes, else an uncompressed tar.
layer_file() {
    mkdir -p "$blobs"
    last_layer=$(sha256_of "$1")
    [ -e "$blobs/$last_layer" ] || cp --reflink=auto "$1" "$blobs/$last_layer"
    image_layers+=("$last_layer")
    if is_gzip "$1"; then
        image_diffs+=("$(gzip -dc "$1" 2>/dev/null | sha256_of -)")
    elif is_zstd "$1"; then
        image_diffs+=("$(zstd -dcq "$1" | sha256_of -)")
    else
        image_diffs+=("$last_layer")
    fi
}

is_zstd() { [ "$(od -An -tx1 -N4 "$1")" = " 28 b5 2f fd" ]; }
is_gzip() { [ "$(od -An -tx1 -N2 "$1")" = " 1f 8b" ]; }

# image_push NAME: NAME is repository:tag. The manifest's digest is then in $last_manifest.
image_push() {
    local repository=${1%:*} digest config descriptors=()
    jq -cn --arg arch "$(dpkg --print-architecture)" --arg env "$image_env" --args \
        '{architecture: $arch, os: "linux",
          config: {Env: (["PATH=/usr/bin:/bin"] + if $env == "" then [] else [$env] end), Cmd: ["/bin/sh"]},
          rootfs: {type: "layers", diff_ids: $ARGS.positional}}' "${image_diffs[@]}" >"$work/config.json"
    config=$(sha256_of "$work/config.json")
    cp "$work/config.json" "$blobs/$config"
    for digest in "${image_layers[@]}"; do
        descriptors+=("$(layer_descriptor "$digest")")
    done
    printf '%s\n' "${descriptors[@]}" | jq -cs --arg config "$config" --argjson size "$(stat -c %s "$work/config.json")" \
        '{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
          config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $config, size: $size},
          layers: .}' >"$work/manifest.json"
    for digest in "$config" "${image_layers[@]}"; do
        blob_push "$repository" "$digest"
    done
    manifest_push "$1" "$work/manifest.json"
    last_manifest=$(sha256_of "$work/manifest.json")
    image_layers=()
    image_diffs=()
    image_env=
}

layer_descriptor() {
    local type=application/vnd.oci.image.layer.v1.tar
    ! is_gzip "$blobs/$1" || type+=+gzip
    ! is_zstd "$blobs/$1" || type+=+zstd
    jq -cn --arg type $type --arg digest "$1" --argjson size "$(stat -c %s "$blobs/$1")" \
        '{mediaType: $type, digest: $digest, size: $size}'
}

# blob_push REPOSITORY DIGEST
blob_push() {
    local where url=http://$registry/v2/$1/blobs
    ! curl -sfI -o /dev/null "$url/$2" || return 0
    where=$(curl -sSf -o /dev/null -D - -X POST "$url/uploads/" | tr -d '\r' | sed -n 's/^location: //Ip')
    curl -sSf -o /dev/null -H 'Content-Type: application/octet-stream' -T "$blobs/$2" "$where&digest=$2"
}

# manifest_push NAME FILE
manifest_push() {
    curl -sSf -o /dev/null -X PUT -H "Content-Type: $(jq -r .mediaType "$2")" --data-binary "@$2" \
        "http://$registry/v2/${1%:*}/manifests/${1##*:}"
}

# manifest_delete NAME: what a tag points to, and so the tag.
manifest_delete() {
    local digest url=http://$registry/v2/${1%:*}/manifests
    digest=$(curl -sSfI -H 'Accept: application/vnd.oci.image.index.v1+json' \
        -H 'Accept: application/vnd.oci.image.manifest.v1+json' "$url/${1##*:}" |
        tr -d '\r' | sed -n 's/^docker-content-digest: //Ip')
    curl -sSf -o /dev/null -X DELETE "$url/$digest"
}

# layer_base: a layer that can run: busybox and the names of its tools.
layer_base() {
    local tool
    layer_begin
    mkdir -p "$layer"/{bin,etc,proc,sys,dev,tmp,root}
    cp /bin/busybox "$layer/bin/busybox"
    for tool in $(/bin/busybox --list); do
        [ "$tool" = busybox ] || ln -s busybox "$layer/bin/$tool"
    done
    echo 'root:x:0:0:root:/root:/bin/sh' >"$layer/etc/passwd"
    layer_end
}

# layer_data DIR BYTES SEED: a layer with BYTES of noise in DIR/noise, and its checksum in DIR/sum.
layer_data() {
    layer_begin
    mkdir -p "$layer/$1"
    random_bytes "$2" "$3" >"$layer/$1/noise"
    (cd "$layer/$1" && sha256sum noise >sum)
    layer_end
}
