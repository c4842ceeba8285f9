# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with lib.sh and the scripts
# SPDX-License-Identifier: Apache-2.0
# guest.sh – Finch's virtual machine as far as a test needs it (../guest/README.md), and a user's machine around it: a
# Finch, a Lima, a home directory. Sourced by those scripts that need it, after lib.sh.
#
#   guest_make             a machine that has never run; before it, the variables below may be set
#   guest_start            as `finch vm start` does, in about four seconds; guest_stop, guest_kill (a power cut)
#   guest_ssh COMMAND…     as the user; guest_root COMMAND… as root; both through SSH
#   guest_listing          every file of the boot disk and of the data disk, to be compared
#   host_listing           every file of the user's, and of Finch's and Lima's on the host
#
# The registry of the script is the guest's 127.0.0.1:5000 too.

guest_tree=$("$E2E_ROOT/tools/guest-tree" --path) || {
    echo "skipped: needs a tree for the guest: ./tools/guest-tree"
    exit 77
}
guest_reference_from=$("$E2E_ROOT/tools/build-go-tools" --path reference) || guest_reference_from=
guest=$work/guest            # of the machine: disk/ and data/ are its disks
finch_root=$work/finch       # Finch is installed here
LIMA_HOME=$finch_root/lima/data
HOME=$work/home              # of the user
finch_yaml=$HOME/.finch/finch.yaml
instance=$LIMA_HOME/finch
guest_disk_mb=1024           # size of the boot disk, 300 of them used
guest_data_mb=1024           # size of the data disk; 0: a directory of the script's, as large as may be
guest_containerd=$E2E_GO_TOOLS # where its containerd comes from
PATH=$E2E_BIN:$finch_root/bin:${PATH#"$E2E_BIN:"}
export LIMA_HOME HOME PATH

# guest_make: the programs of Finch and Lima, finch.yaml as Finch writes it first, and an instance.
guest_make() {
    finch_install
    "$E2E_ROOT/tests/e2e/guest/vm" "$guest" make
}

finch_install() {
    local parts=$finch_root/lima/bin/.guest
    mkdir -p "$finch_root/bin" "$finch_root/lima/bin" "$finch_root/os" "$LIMA_HOME" "$guest" "$parts" "$HOME"
    cp "$E2E_ROOT/tests/e2e/guest/finch" "$finch_root/bin/"
    cp "$E2E_ROOT/tests/e2e/guest/limactl" "$finch_root/lima/bin/"
    ln -sfn "$E2E_ROOT/tests/e2e/guest/vm" "$parts/vm"
    ln -sfn "$guest" "$parts/dir"
    {
        printf '%s=%q\n' guest_tree "$guest_tree" guest_disk_mb "$guest_disk_mb" guest_data_mb "$guest_data_mb" \
            go_tools "$E2E_GO_TOOLS" containerd_dir "$guest_containerd" lima_home "$LIMA_HOME" \
            finch_yaml "$finch_yaml" log_dir "$logs" group "$namespace/guest"
    } >"$guest/settings"
    [ -e "$finch_yaml" ] || finch vm status >/dev/null
}

guest_vm() { "$E2E_ROOT/tests/e2e/guest/vm" "$guest" "$@" 2>>"$logs/guest-vm.log"; }

# guest_start: fails the script unless all of the guest's scripts ran; guest_start_degraded: unless one of them failed.
guest_start() { guest_vm start || fail "the guest did not start: $(tail -n 1 "$logs/guest-vm.log")"; }
guest_start_degraded() { ! guest_vm start || fail "all scripts of the guest ran"; }
guest_stop() { guest_vm stop; }
guest_kill() { guest_vm stop --force; }

# guest_wipe: the machine is removed, its data disk stays; guest_make makes the next.
guest_wipe() { guest_vm wipe; }

guest_ssh() { ssh -F "$instance/ssh.config" -o ControlPath=none -q lima-finch -- "$@"; }
guest_root() { ssh -F "$instance/ssh.config" -o ControlPath=none -q -l root lima-finch -- "$@"; }

# guest_init: the process that is the guest's process 1, whose /proc/PID/root is all that the guest sees.
guest_init() { pgrep -P "$(cat "$instance/ha.pid")" | head -n 1; }

# guest_enter COMMAND…: without SSH, for looking.
guest_enter() {
    nsenter -t "$(guest_init)" -m -p -i -u -C -r -w -- \
        env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin "$@" 2>>"$logs/guest-enter.log"
}

# guest_ctr ARGS…
guest_ctr() { guest_enter ctr --namespace finch "$@"; }

# guest_lazy_mounts: how many layers are mounted lazily in it.
guest_lazy_mounts() { { guest_enter findmnt -rn -t fuse.rawBridge -o TARGET || true; } | sort -u | wc -l; }

# guest_behind PORT: from now on until the next start, Finch and Lima say that this is the port of its SSH server, where
# something of the script's passes on to $(guest_port).
guest_behind() {
    echo "$1" >"$guest/seen-port"
    sed -i "s/^  Port .*/  Port $1/" "$instance/ssh.config"
}
guest_port() { cat "$guest/ssh-port"; }

# guest_publish REF: made with an index in the guest, as nerdctl does it, from the image that is in the registry.
guest_publish() {
    guest_pull overlayfs "$1"
    guest_root soci --namespace finch create --min-layer-size 0 "$1" >>"$logs/create.log" 2>&1
    guest_root soci --namespace finch push --plain-http "$1" >>"$logs/push.log" 2>&1
    guest_ctr image rm --sync "$1" >>"$logs/ctr.log"
}

# guest_pull SNAPSHOTTER REF; guest_run SNAPSHOTTER REF COMMAND…: in a container that is gone afterwards.
guest_pull() { guest_ctr image pull --plain-http --snapshotter "$1" "$2" >>"$logs/ctr.log"; }
guest_run() {
    guest_runs=$((${guest_runs:-0} + 1))
    guest_ctr run --rm --net-host --snapshotter "$1" "$2" "run-$BASHPID-$guest_runs" "${@:3}"
}

# guest_client ARGS…: ../client, which pulls as nerdctl 2.2 does, from outside.
guest_client() {
    e2e-client --address "/proc/$(guest_init)/root/run/containerd/containerd.sock" --namespace finch "$@" \
        >>"$logs/client.log" 2>&1
}

# guest_reference: what Finch's script fetches when the guest has no snapshotter yet. Its `soci` is ours in other clothes
# (../reference/main.go says why), the daemon is the real one.
guest_reference() {
    if [ -z "$guest_reference_from" ]; then
        echo "skipped: needs the reference: ./tools/build-go-tools reference"
        exit 77
    fi
    mkdir -p "$guest/soci-release"
    { cat "$E2E_BIN/soci" && echo reference; } >"$guest/soci-release/soci"
    cp "$guest_reference_from/soci-snapshotter-grpc" "$guest/soci-release/"
    chmod 0755 "$guest/soci-release/soci"
}

# bundle_make: of the programs under test, where finch-soci finds it.
bundle_make() {
    FINCH_SOCI_BUNDLE=$work/finch-soci-guest-$(uname -m).tar.gz
    export FINCH_SOCI_BUNDLE
    "$E2E_ROOT/tools/bundle" --bin "$E2E_BIN" --out "$FINCH_SOCI_BUNDLE" 2>>"$logs/bundle.log"
}

# bundle_other: prints the name of a bundle of programs that do the same, but are another build.
bundle_other() {
    local program other=$work/other
    mkdir -p "$other"
    echo "another build" >"$other/note"
    for program in soci soci-snapshotter-grpc; do
        objcopy --add-section "other_build=$other/note" "$E2E_BIN/$program" "$other/$program"
    done
    "$E2E_ROOT/tools/bundle" --bin "$other" --out "$other/bundle.tar.gz" 2>>"$logs/bundle.log"
    echo "$other/bundle.tar.gz"
}

# assert_all_green: `finch-soci status` finds nothing wrong. What it says is then in $work/status.
assert_all_green() {
    finch-soci status >"$work/status" 2>&1 || fail "status: $(cat "$work/status")"
    finch-soci status --json | jq -e '.well and (.checks | length > 0 and all(.state != "not-well"))' >>"$logs/status.log" ||
        fail "status --json differs: $(finch-soci status --json)"
}

host_listing() {
    (cd "$work" && find home finch -xdev \( -name ssh.sock -o -name '*.log' \) -o -printf '%p %y %M %U:%G %l\n')
    (cd "$work" && find home finch -xdev -type f ! -name '*.log' -print0 | xargs -0 sha256sum)
}

# guest_listing: path, kind, mode, owner, and what is in it, of all on its disks; but not of what changes without
# anyone's doing (/var/log, the machine's id, random seeds), and not of containerd's own data.
guest_listing() {
    {
        (cd "$guest/disk" && find . -xdev -path ./var/log -prune -o -path ./var/lib/containerd -prune -o \
            -path ./etc/machine-id -o -path './tmp/*' -prune -o -path './var/tmp/*' -prune -o \
            -path ./var/lib/systemd -prune -o -path ./opt/containerd -prune -o -printf 'boot %p %y %M %U:%G %l\n')
        (cd "$guest/data" && find . -xdev -path ./containerd -prune -o -printf 'data %p %y %M %U:%G %l\n')
        (cd "$guest" && find disk data -xdev \( -path disk/var/log -o -path disk/var/lib/containerd -o \
            -path disk/etc/machine-id -o -path disk/tmp -o -path disk/var/tmp -o -path disk/var/lib/systemd -o \
            -path disk/opt/containerd -o -path data/containerd \) -prune -o -type f -print0 | xargs -0 -r sha256sum)
    } | LC_ALL=C sort
}
