#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# images.sh – which images containerd has, and through which snapshotters each was unpacked. Changes nothing.
#
# Input: a namespace of containerd; an empty line: all of them. A line "image NAMESPACE SNAPSHOTTERS MANIFEST NAME" for each
# image ("-": none, not known; several snapshotters with commas between), 1001 at most. The last line is "end".
LC_ALL=C
export LC_ALL
PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin:$PATH

die() {
    echo "$*" >&2
    exit 1
}
ask() { timeout 10 ctr "$@" 2>/dev/null </dev/null; }

# What was unpacked has a label at its configuration that keeps the snapshot; labels of an index keep its manifests, and
# those of a manifest its configuration. Layers that are lazy are not there.
list() {
    awk -v "ns=$1" '
        function add_snapshotters(text, name) {
            while (match(text, /containerd\.io\/gc\.ref\.snapshot\.[A-Za-z0-9_.-]+/)) {
                name = substr(text, RSTART + 30, RLENGTH - 30)
                if (index("," found ",", "," name ",") == 0) found = found (found == "" ? "" : ",") name
                text = substr(text, RSTART + RLENGTH)
            }
        }
        function follow(digest, depth,    text, child, before) {
            text = line[digest]
            while (match(text, /containerd\.io\/gc\.ref\.content[A-Za-z0-9_.\/-]*=sha256:[0-9a-f]+/)) {
                child = substr(text, RSTART, RLENGTH)
                text = substr(text, RSTART + RLENGTH)
                sub(/.*=/, "", child)
                before = found
                add_snapshotters(line[child])
                if (manifest == "" && found != before) manifest = digest
                if (depth > 0) follow(child, depth - 1)
            }
        }
        $1 == "images" && NF == 1 { listed = 1; next }
        !listed && $1 ~ /^sha256:/ { line[$1] = $0 }
        listed && $3 ~ /^sha256:/ && count++ <= 1000 {
            found = manifest = ""
            follow($3, 2)
            print "image", ns, found == "" ? "-" : found, manifest == "" ? "-" : manifest, $1
        }'
}

IFS= read -r namespaces
command -v ctr >/dev/null || die "there is no ctr here"
[ -n "$namespaces" ] || namespaces=$(ask namespaces ls -q) || die "containerd does not answer"
for ns in $namespaces; do
    content=$(ask -n "$ns" content ls) || die "containerd does not answer"
    images=$(ask -n "$ns" images ls) || die "containerd does not answer"
    printf '%s\nimages\n%s\n' "$content" "$images" | list "$ns"
done
echo end
