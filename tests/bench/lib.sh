# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with tests/e2e/lib.sh and the scripts
# SPDX-License-Identifier: Apache-2.0
# lib.sh – what the measurements share, in the world that tests/e2e/run made: ways to have an image, times, results.
#
# A way is overlayfs, the ordinary pull; or the snapshotter with a backend (erofs, fuse, or auto, which takes the first
# that the kernel can); or learned, which is auto with a record of what the first run reads, in $work/learned.

. "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"

bench=$E2E_ROOT/tests/bench

# snapshotter_of WAY: its name in containerd.
snapshotter_of() { [ "$1" = overlayfs ] && echo overlayfs || echo soci; }

# begin WAY NAME: a containerd that has nothing, and its snapshotter.
begin() {
    containerd_start "$2"
    case $1 in
    overlayfs) ;;
    auto) snapshotter_start "$2" ;;
    learned)
        mkdir -p "$work/soci-$2"
        cp -r "$work/learned" "$work/soci-$2/starts"
        snapshotter_start "$2"
        ;;
    erofs | fuse) snapshotter_start "$2" "backend = \"$1\"" ;;
    *) fail "no way $1: overlayfs, erofs, fuse, auto or learned" ;;
    esac
}

# end NAME: all of it gone.
end() {
    stop "containerd-$1"
    [ -z "${pids[soci-$1]:-}" ] || stop "soci-$1"
    umount -R "$work"/*"-$1"/snapshotter/snapshots/*/fs 2>/dev/null || true
    rm -rf --one-file-system "$work/containerd-$1" "$work/soci-$1" "/run/containerd-$1" "/run/soci-$1"
}

# check_lazy WAY NAME: a figure of something else than what it says is worse than none.
check_lazy() {
    local backends
    [ "$1" != overlayfs ] || return 0
    backends=$(status_of "$2" | jq -r '[.layers[] | select(.state == "mounted" or .state == "complete") | .backend] | unique[]')
    [ -n "$backends" ] || fail "$1: nothing is lazy"
    case $1 in
    erofs | fuse) [ "$backends" = "$1" ] || fail "$1: layers are mounted by $backends" ;;
    esac
}

status_of() { soci-snapshotter-grpc status --address "/run/soci-$1/snapshotter.sock" --json; }

# is_here NAME: all bytes of all layers; is_checked NAME: and they are what the image says.
is_here() { status_of "$1" | jq -e '[.layers[] | select(.presentBytes != .sizeBytes)] | length == 0'; }
is_checked() { status_of "$1" | jq -e '[.layers[] | select(.check != "checked")] | length == 0'; }

# ---- times ---------------------------------------------------------------------------------------

seconds() { awk -v from="$1" -v to="$2" 'BEGIN { printf "%.3f", to - from }'; }

# timed COMMAND…: seconds that it took, in $took; its output goes to $timed_out, /dev/null when that is not set.
timed() {
    local from=$EPOCHREALTIME
    "$@" >"${timed_out:-/dev/null}"
    took=$(seconds "$from" "$EPOCHREALTIME")
}

# forget: whatever the kernel has cached. What overlayfs itself knows is forgotten with its mount (mount_again).
forget() { sync && echo 3 >/proc/sys/vm/drop_caches; }

# memory_kib NAME FIELD: of the snapshotter, a field of /proc/PID/status; 0 where there is none.
memory_kib() {
    [ -n "${pids[soci-$1]:-}" ] || { echo 0 && return; }
    awk -v field="$2:" '$1 == field { print $2 }' "/proc/${pids[soci-$1]}/status"
}

# disk_bytes: that were read of the disk under $work since the machine started; nothing where the kernel does not say.
disk_bytes() {
    awk -v device="$(stat -c '%Hd %Ld' "$work")" '$1 " " $2 == device { printf "%.0f", $6 * 512 }' /proc/diskstats
}

# ---- results -------------------------------------------------------------------------------------

# put KEY VALUE…: one measurement, a line of JSON in $BENCH_RESULTS. Values that are numbers, true or null become that.
put() {
    jq -cn --arg load "$(cut -d' ' -f1 /proc/loadavg)" \
        '[$ARGS.positional | _nwise(2) | {key: .[0], value: (.[1] as $text | try ($text | fromjson) catch $text)}]
         | from_entries + {load: ($load | tonumber)}' --args "$@" >>"$BENCH_RESULTS"
}

# progress TEXT: where it is; on stderr, as all that is no result.
progress() { printf '   %s\n' "$*" >&2; }
