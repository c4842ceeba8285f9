# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
# lib.sh – what the tools share: where things are, and how to speak. Source it after `set -euo pipefail`.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# What is expensive to make and does not depend on the work tree. Deleting it is always safe.
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/finch-soci

# Progress and errors go to stderr, results to stdout.
say() { printf '\033[1m==\033[0m %s\n' "$*" >&2; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    warn "$*"
    exit 1
}

# run_quietly LOG COMMAND…: its output goes to LOG, and is shown only when it fails.
run_quietly() {
    local log=$1 rc=0
    shift
    "$@" >"$log" 2>&1 </dev/null || rc=$?
    if [ "$rc" -ne 0 ]; then
        tail -n 60 "$log" >&2
        die "failed ($rc): $* (whole log: $log)"
    fi
}

# as_root COMMAND…: as it is for root, else with sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        die "must be root, or have sudo, to run: $*"
    fi
}
