# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with lib.sh and the scripts
# SPDX-License-Identifier: Apache-2.0
# hook.sh – what the hook of the user in $HOME did, by its log. Sourced after the file that sets HOME.

hook_state=$HOME/.finch/finch-soci/finch
hook_log=$hook_state/hook.log
trap 'cp "$hook_log" "$logs/hook.log" 2>/dev/null || true' EXIT

# hook_lines TEXT: how many of the log have it.
hook_lines() { grep -c -F -- "$1" "$hook_log" || true; }
hook_has() { [ "$(hook_lines "$2")" -ge "$1" ]; }

# hook_did TEXT: once more than at the last hook_mark TEXT.
declare -A hook_marks=()
hook_mark() { hook_marks[$1]=$(hook_lines "$1"); }
hook_did() { wait_for 60 "\"$1\" in the hook's log" hook_has $((${hook_marks[$1]} + 1)) "$1"; }

hook_watches() { [ "$(finch-soci hook status --json | jq -r .watches)" = true ]; }
# hook_json FILTER
hook_json() { { finch-soci hook status --json || true; } | jq -er "$1"; }
