# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with lib.sh and the scripts
# SPDX-License-Identifier: Apache-2.0
# processes.sh – daemons of a script: started, awaited, stopped by their process id, their logs looked at.

declare -A pids=()      # by name
allowed_errors='^$'     # extended regexp: lines of level error or fatal that the script provokes

step() { printf -- '-- %s\n' "$*"; }

fail() {
    printf 'FAIL: %s\n' "$*" | tee -a "$logs/failure" >&2
    exit 1
}

set -E # a command that fails says which it was
trap 'printf "%s, line %s: %s\n" "${BASH_SOURCE[0]##*/}" "$LINENO" "${BASH_COMMAND%%$'"'\\n'"'*}" >>"$logs/failure"' ERR

# start NAME COMMAND…: in the background, its output in $logs/NAME.log.
start() {
    local name=$1
    shift
    "$@" >>"$logs/$name.log" 2>&1 </dev/null &
    pids[$name]=$!
}

# wait_for SECONDS WHAT COMMAND…: until the command succeeds; fails the script when it does not in time.
wait_for() {
    local seconds=$1 what=$2 deadline
    shift 2
    deadline=$((SECONDS + seconds + 1))
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || fail "no $what within $seconds s"
        sleep 0.02
    done
}

# test_equal WANT COMMAND…: what the command prints.
test_equal() { [ "$1" = "$("${@:2}")" ]; }

# stop NAME [SIGNAL]: by default SIGTERM, which must end it with success within 10 s.
stop() {
    local name=$1 signal=${2:-TERM} pid=${pids[$1]} rc=0
    kill "-$signal" "$pid"
    (sleep 10 && kill -KILL "$pid" 2>/dev/null) &
    local guard=$!
    wait "$pid" 2>/dev/null || rc=$? # bash would say on stderr that it was killed
    kill "$guard" 2>/dev/null || true
    wait "$guard" 2>/dev/null || true
    unset "pids[$name]"
    [ "$signal" = KILL ] || [ $rc -eq 0 ] || fail "$name ended with $rc after SIG$signal"
}

# is_running NAME
is_running() { kill -0 "${pids[$1]:?$1 was never started}" 2>/dev/null; }

# is_sanitized: the programs under test are slower than those that people use.
is_sanitized() { grep -qE '__[at]san_init' "$E2E_BIN/soci-snapshotter-grpc"; }

# A daemon of ours must not have logged an error that the script did not provoke, and no sanitizer may have spoken.
check_logs() {
    local log bad
    for log in "$logs"/soci*.log; do
        [ -e "$log" ] || continue
        bad=$(grep -E '"level":"(error|fatal|panic)"|==ERROR|runtime error:|WARNING: ThreadSanitizer' "$log" |
            grep -vE "$allowed_errors" | head -n 5) || true
        [ -z "$bad" ] || fail "${log##*/} has unexpected errors: $bad"
    done
}

# finish: stops what still runs (ours must end well) and looks at the logs. The last line of a script.
finish() {
    local name
    for name in "${!pids[@]}"; do
        case $name in
        soci* | slow-link*) stop "$name" ;;
        esac
    done
    for name in "${!pids[@]}"; do
        stop "$name" KILL
    done
    check_logs
    step "passed"
}
