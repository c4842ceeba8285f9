# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with lib.sh and the scripts
# SPDX-License-Identifier: Apache-2.0
# faults.sh – the registry behind tests/fakes/fault-proxy, which answers wrongly when told to.

# faults_start: from then on $faulty_registry is the registry.
faults_start() {
    : >"$work/orders"
    start faults fault-proxy "${faulty_registry#*:}" "${registry#*:}" "$work/orders"
    wait_for 10 "fault proxy" answers "$faulty_registry"
}

# fault ORDER: see the top of fault-proxy's main.c. From now on, until the next one; '' for none.
fault() {
    orders=$((${orders:-0} + 1))
    printf '%s #%s\n' "$1" "$orders" >"$work/orders.new"
    [ -n "$1" ] || : >"$work/orders.new"
    mv "$work/orders.new" "$work/orders"
    case $1 in
    refuse*) wait_for 5 "closed port" refuses "$faulty_registry" ;;
    *) wait_for 5 "open port" answers "$faulty_registry" ;;
    esac
}

refuses() { ! answers "$1"; }

# faulty_requests TEXT: how many lines of the proxy's log have it.
faulty_requests() { grep -c -- "$1" "$logs/faults.log" || true; }
