# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with lib.sh and the scripts
# SPDX-License-Identifier: Apache-2.0
# services.sh – the registry, the slow link, containerd and our snapshotter.

answers() { (exec 3<>"/dev/tcp/${1%:*}/${1#*:}") 2>/dev/null; }

# registry_start: Debian's, on $registry; every request is a line in $logs/registry.log (see registry_log.sh).
registry_start() {
    mkdir -p "$work/registry"
    cat >"$work/registry.yml" <<-CONFIG
		version: 0.1
		log: {level: error, accesslog: {disabled: false}}
		storage:
		  filesystem: {rootdirectory: "$work/registry"}
		  delete: {enabled: true}
		http: {addr: "$registry", secret: "not one"}
	CONFIG
    # Its own complaints, about blobs that were asked for before they were pushed, would hide the requests.
    start registry sh -c "exec docker-registry serve $work/registry.yml 2>$logs/registry.err"
    wait_for 20 "registry" answers "$registry"
}

# link_start [RTT_MS [MBIT]]: from then on $far_registry is the registry, far away. When something came down the line is
# in $work/link.log (link_bytes completes it).
link_start() {
    start slow-link slow-link --listen "$far_registry" --to "$registry" --rtt-ms "${1:-40}" --mbit "${2:-100}" \
        --stats "$work/link.json" --log "$work/link.log"
    wait_for 10 "slow link" answers "$far_registry"
}

# link_bytes: what has come down the link so far.
link_bytes() {
    rm -f "$work/link.json"
    kill -USR1 "${pids[slow-link]}"
    wait_for 5 "statistics of the link" test -s "$work/link.json"
    jq .down_bytes "$work/link.json"
}

# link_rests: for a second nothing comes down the link.
link_rests() {
    local before
    before=$(link_bytes)
    sleep 1
    [ "$before" = "$(link_bytes)" ]
}

# programs_of VERSION: the PATH with that containerd and its shim, which must be of one version, first.
programs_of() {
    case $1 in
    2.4) echo "$PATH" ;;
    *) echo "$E2E_GO_TOOLS/$1:$PATH" ;;
    esac
}

# containerd_start NAME [VERSION [UNPACKERS]]: with nothing in it. Its snapshotters are overlayfs and soci, the latter
# wherever snapshotter_start NAME makes it listen; containerd does not mind when that is later, or never. VERSION is 2.4
# or 2.2. With UNPACKERS it may unpack so many layers at once. With $remap_ids=yes it leaves the owners of files in user
# namespaces to the snapshotter.
containerd_start() {
    local dir=$work/containerd-$1 capabilities='' transfer=''
    if [ -n "${3:-}" ]; then
        capabilities='"rebase", '
        transfer="max_concurrent_unpacks = $3"
    fi
    [ "${remap_ids:-no}" = no ] || capabilities+='"remap-ids"'
    mkdir -p "$dir"
    cat >"$dir/config.toml" <<-CONFIG
		version = 3
		root = "$dir/root"
		state = "/run/containerd-$1"
		disabled_plugins = ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri",
		    "io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.devmapper"]

		[debug]
		  level = "warn"
		[grpc]
		  address = "/run/containerd-$1/containerd.sock"
		[ttrpc]
		  address = "/run/containerd-$1/containerd.sock.ttrpc"

		[proxy_plugins.soci]
		  type = "snapshot"
		  address = "/run/soci-$1/snapshotter.sock"
		  capabilities = [$capabilities]
		  [proxy_plugins.soci.exports]
		    root = "$work/soci-$1"
		    enable_remote_snapshot_annotations = "true"

		[plugins."io.containerd.transfer.v1.local"]
		  $transfer
		# Any entry replaces the defaults, so both snapshotters are here.
		[[plugins."io.containerd.transfer.v1.local".unpack_config]]
		  platform = "linux"
		  snapshotter = "overlayfs"
		[[plugins."io.containerd.transfer.v1.local".unpack_config]]
		  platform = "linux"
		  snapshotter = "soci"
	CONFIG
    PATH=$(programs_of "${2:-2.4}") start "containerd-$1" containerd --config "$dir/config.toml"
    wait_for 30 "containerd" ctr_of "$1" version
}

# ctr_of NAME ARGS…: what it says on stderr, and what containers do, goes to $logs/ctr.log.
ctr_of() {
    local name=$1
    shift
    ctr --address "/run/containerd-$name/containerd.sock" --namespace "$namespace" "$@" 2>>"$logs/ctr.log"
}

# client_of NAME ARGS…: tests/e2e/client.
client_of() {
    local name=$1
    shift
    e2e-client --address "/run/containerd-$name/containerd.sock" --namespace "$namespace" "$@" 2>>"$logs/client.log"
}

# soci_of NAME ARGS…: the program `soci`, talking to that containerd.
soci_of() {
    local name=$1
    shift
    soci --address "/run/containerd-$name/containerd.sock" --namespace "$namespace" --root "$work/soci-cli-$name" "$@"
}

# backend: how layers are mounted here, when nobody says otherwise; $E2E_BACKEND is what the configuration says of it.
backend() { [ "${E2E_BACKEND:-auto}" = fuse ] && echo fuse || echo erofs; }

# snapshotter_start NAME [LINE…]: for containerd NAME; the lines are added to its configuration.
snapshotter_start() {
    local name=$1
    shift
    mkdir -p "$work/soci-$name" "/run/soci-$name"
    {
        [ -z "${E2E_BACKEND:-}" ] || printf 'backend = "%s"\n' "$E2E_BACKEND"
        printf '%s\n' "$@"
        [[ $* == *'[pull_modes.soci_v1]'* ]] || printf '[pull_modes.soci_v1]\nenable = true\n'
        printf '[content_store]\ncontainerd_address = "/run/containerd-%s/containerd.sock"\n' "$name"
    } >"$work/soci-$name.toml"
    start "soci-$name" soci-snapshotter-grpc --address "/run/soci-$name/snapshotter.sock" \
        --root "$work/soci-$name" --config "$work/soci-$name.toml" --log-level debug
    wait_for 20 "snapshotter" grep -q 'successfully started' "$logs/soci-$name.log"
    # A containerd that called while nobody listened calls again a second later, and refuses all requests until then.
    [ -z "${pids[containerd-$name]:-}" ] ||
        wait_for 20 "way from containerd to the snapshotter" ctr_of "$name" snapshots --snapshotter soci ls
}

# pull NAME SNAPSHOTTER REF
pull() { ctr_of "$1" image pull --plain-http --snapshotter "$2" "$3" >>"$logs/ctr.log"; }

# own_output: $own_output are words for `ctr run` that have all of what a container prints come out here.
own_output() { own_output=(--log-uri "binary://$E2E_ROOT/tests/e2e/lib/container-output?pid=$BASHPID&err=$logs/ctr.log"); }

# run NAME SNAPSHOTTER REF COMMAND…: in a new container that is gone afterwards; output and exit code are the command's.
run() {
    local name=$1 snapshotter=$2 ref=$3
    shift 3
    containers_run=$((${containers_run:-0} + 1))
    own_output
    ctr_of "$name" run --rm --net-host "${own_output[@]}" --snapshotter "$snapshotter" "$ref" "run-$BASHPID-$containers_run" "$@"
}

# publish NAME REF [SOCI_CREATE_ARGS…]: the SOCI index of an image that is in the registry, made from the store of
# containerd NAME, pushed to the registry.
publish() {
    pull "$1" overlayfs "$2"
    soci_of "$1" create --min-layer-size 0 "${@:3}" "$2" >>"$logs/create.log" 2>&1
    soci_of "$1" push --plain-http "$2" >>"$logs/push.log" 2>&1
}

# remove_image NAME REF: with all that belongs to it.
remove_image() { ctr_of "$1" image rm --sync "$2" >>"$logs/ctr.log"; }

# lazy_mounts: how many layers are mounted by us.
lazy_mounts() { { findmnt -rn -t fuse.rawBridge -o TARGET || true; } | wc -l; }

# rows NAME: of the snapshotter's database.
rows() {
    python3 -c 'import sqlite3, sys
db = sqlite3.connect("file:%s?mode=ro" % sys.argv[1], uri=True)
print(sum(db.execute("SELECT count(*) FROM " + table).fetchone()[0] for table in ("snapshot", "label")))' \
        "$work/soci-$1/snapshotter/metadata.sqlite"
}

# kept NAME: whatever the snapshotter keeps on disk of layers, ztocs and snapshots.
kept() {
    find "$work/soci-$1" -xdev -mindepth 1 \( -path '*/layers/*' -o -path '*/blobs/sha256/*' -o -path '*/snapshots/*' -o \
        -path '*/unpack/*' \)
}

# nothing_left NAME: no mount, no row, and nothing on disk.
nothing_left() { [ "$(lazy_mounts) $(kept "$1" | wc -l) $(rows "$1")" = "0 0 0" ]; }
