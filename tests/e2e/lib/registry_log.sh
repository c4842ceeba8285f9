# shellcheck shell=bash disable=SC2154 # variables are shared with lib.sh and the scripts
# SPDX-License-Identifier: Apache-2.0
# registry_log.sh – what was asked of the registry, from its access log.
#
# One line per finished request, in the common format of web servers:
#   127.0.0.1 - - [date zone] "GET /v2/app/blobs/sha256:… HTTP/1.1" 206 32768 "" "user-agent"
# Status 206 answers a request for a range; 200 on a layer is the whole layer.

# log_mark: forget what was asked so far. What is asked from now on is looked at by the functions below.
log_mark() { log_start=$(wc -l <"$logs/registry.log"); }

log_lines() { tail -n +$((${log_start:-0} + 1)) "$logs/registry.log"; }

# whole_gets DIGEST: how often that blob was asked for without a range, or by containerd in whatever way.
whole_gets() {
    log_lines | awk -v digest="$1" '
        $6 == "\"GET" && $7 ~ ("/blobs/" digest "$") && ($9 == 200 || $0 ~ /"containerd\/[^"]*"$/) { n++ }
        END { print n + 0 }'
}

# ranged_gets DIGEST
ranged_gets() {
    log_lines | awk -v digest="$1" '$6 == "\"GET" && $7 ~ ("/blobs/" digest "$") && $9 == 206 { n++ } END { print n + 0 }'
}

# bytes_sent DIGEST: of that blob, repetitions counted.
bytes_sent() {
    log_lines | awk -v digest="$1" '$6 == "\"GET" && $7 ~ ("/blobs/" digest "$") { n += $10 } END { print n + 0 }'
}

# assert_equal WANT GOT WHAT
assert_equal() { [ "$1" = "$2" ] || fail "$3: expected $1, got $2"; }
