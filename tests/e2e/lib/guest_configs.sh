# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with lib.sh and the scripts
# SPDX-License-Identifier: Apache-2.0
# guest_configs.sh – one machine, and one configuration of containerd after another in it. Sourced after guest.sh.

config=$guest/disk/etc/containerd/config.toml

# configs_begin: the machine, and an image with an index, $registry/app:1, in the registry.
configs_begin() {
    bundle_make
    guest_make
    guest_start
    registry_start
    layer_base
    layer_data data 2000000 1
    image_push app:1
    finch-soci enable --now >"$work/said" 2>&1 || fail "enable: $(cat "$work/said")"
    guest_publish "$registry/app:1"
    finch-soci disable --purge >"$work/said" 2>&1 || fail "disable: $(cat "$work/said")"
}

# lines_gone: of their own.
lines_gone() { grep -vxFf "$config" "$work/own" || true; }

# config_pull: as the program does it that this containerd comes with.
config_pull() { guest_pull soci "$registry/app:1"; }

# config_try NAME: with the configuration that is on standard input, from enable to disable.
config_try() {
    step "$1"
    cat >"$config"
    cp "$config" "$work/own"
    guest_enter systemctl restart containerd
    guest_listing >"$work/before"
    finch-soci enable --now >"$work/said" 2>&1 || fail "enable: $(cat "$work/said")"
    assert_all_green
    assert_equal '' "$(lines_gone)" "lines of their own that are gone"
    finch-soci enable --now >"$work/said" 2>&1 || fail "enable again: $(cat "$work/said")"
    grep -q 'nothing to do' "$work/said" || fail "a second enable changes something: $(cat "$work/said")"
    config_pull
    assert_equal 2 "$(guest_lazy_mounts)" "lazy mounts"
    guest_run soci "$registry/app:1" sh -c 'cd /data && sha256sum -c sum' >>"$logs/ctr.log"
    assert_all_green
    finch-soci disable --purge >"$work/said" 2>&1 || fail "disable: $(cat "$work/said")"
    cmp "$work/own" "$config" || fail "their configuration is not what it was"
    guest_listing >"$work/after"
    diff "$work/before" "$work/after" >&2 || fail "disable left something"
}
