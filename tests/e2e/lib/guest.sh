# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with lib.sh and the scripts
# SPDX-License-Identifier: Apache-2.0
# guest.sh – Finch's virtual machine as far as a test needs it (../guest/README.md), and a user's machine around it: a
# Finch, a Lima, a home directory. Sourced by those scripts that need it, after lib.sh.
#
#   guest_make             a machine that has never run; before it, the variables below may be set
#   guest_start            as `finch vm start` does, in about four seconds; guest_stop, guest_kill (a power cut)
#   guest_ssh COMMAND…     as the user; guest_root COMMAND… as root; both through SSH
#   guest_listing          every file of the boot disk and of the data disk, to be compared
#
# The registry of the script is the guest's 127.0.0.1:5000 too.

guest_tree=$("$E2E_ROOT/tools/guest-tree" --path) || {
    echo "skipped: needs a tree for the guest: ./tools/guest-tree"
    exit 77
}
guest=$work/guest            # of the machine: disk/ and data/ are its disks
finch_root=$work/finch       # Finch is installed here
LIMA_HOME=$finch_root/lima/data
HOME=$work/home              # of the user
finch_yaml=$HOME/.finch/finch.yaml
instance=$LIMA_HOME/finch
guest_disk_mb=1024           # size of the boot disk, 300 of them used
guest_data_mb=1024           # size of the data disk
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

# guest_enter COMMAND…: without SSH, for looking.
guest_enter() { guest_vm enter "$@"; }

# guest_ctr ARGS…
guest_ctr() { guest_enter ctr --namespace finch "$@"; }

# guest_lazy_mounts: how many layers are mounted lazily in it.
guest_lazy_mounts() { { guest_enter findmnt -rn -t fuse.rawBridge -o TARGET || true; } | sort -u | wc -l; }

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
