# shellcheck shell=bash disable=SC2154 # variables are shared with lib.sh and the scripts
# SPDX-License-Identifier: Apache-2.0
# indexes.sh – SOCI indexes as files, changed, and pushed as any client could push them.

# keep_index REPOSITORY MANIFEST: that manifest's index, made with publish, as $work/index.json, and what it names in
# $blobs.
keep_index() {
    local digest url=http://$registry/v2/$1
    digest=$(curl -sSf -H 'Accept: application/vnd.oci.image.index.v1+json' "$url/manifests/sha256-${2#sha256:}" |
        jq -r '.manifests[0].digest')
    curl -sSf -H 'Accept: application/vnd.oci.image.manifest.v1+json' "$url/manifests/$digest" >"$work/index.json"
    for digest in $(jq -r '.config.digest, .layers[].digest' "$work/index.json"); do
        curl -sSf -o "$blobs/$digest" "$url/blobs/$digest"
    done
}

# copy_image REPOSITORY MANIFEST_FILE: an image whose blobs are in $blobs, as REPOSITORY:1.
copy_image() {
    local digest
    for digest in $(jq -r '.config.digest, .layers[].digest' "$2"); do
        blob_push "$1" "$digest"
    done
    manifest_push "$1:1" "$2"
}

# index_push REPOSITORY FILE: with what it names.
index_push() {
    local digest
    for digest in $(jq -r '.config.digest, .layers[].digest' "$2"); do
        blob_push "$1" "$digest"
    done
    curl -sSf -o /dev/null -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$2" \
        "http://$registry/v2/$1/manifests/$(sha256_of "$2")"
}

# referrers_push REPOSITORY MANIFEST FILE…: those indexes are the image's, the newest last, as a client keeps the list
# that a registry does not make.
referrers_push() {
    local repository=$1 manifest=$2 file
    shift 2
    for file in "$@"; do
        index_push "$repository" "$file"
        jq -cn --arg digest "$(sha256_of "$file")" --argjson size "$(stat -c %s "$file")" \
            '{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $digest, size: $size,
              artifactType: "application/vnd.amazon.soci.index.v1+json"}'
    done | jq -cs '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: .}' \
        >"$work/list.json"
    manifest_push "$repository:sha256-${manifest#sha256:}" "$work/list.json"
}
