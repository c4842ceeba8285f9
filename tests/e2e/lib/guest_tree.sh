# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with lib.sh and the scripts
# SPDX-License-Identifier: Apache-2.0
# guest_tree.sh – a machine for finch-soci/guest/: /etc, /usr/local and /var/lib are the test's own, containerd is real, and
# systemctl does of systemd what matters here (start, stop, restart, PartOf=, Wants=), and notes what it was told.

guest_bundle=$work/bundle.tar.gz

# guest_world: a fresh one, as after Finch's first boot but without its snapshotter.
guest_world() {
    mkdir -p "$work/etc" "$work/over" /run/systemd/system /run/fake
    mount -t tmpfs -o mode=0755 tmpfs "$work/over"
    mkdir "$work/over/upper" "$work/over/work"
    mount -t overlay -o "lowerdir=/etc,upperdir=$work/over/upper,workdir=$work/over/work" overlay /etc
    mount -t tmpfs -o mode=0755 tmpfs /usr/local
    mount -t tmpfs -o mode=0755 tmpfs /var/lib
    mkdir -p /usr/local/bin /usr/local/sbin /etc/containerd /etc/systemd/system/multi-user.target.wants
    rm -rf /etc/containerd/* /etc/soci-snapshotter-grpc
    for program in containerd ctr containerd-shim-runc-v2; do ln -s "$E2E_GO_TOOLS/$program" "/usr/local/sbin/$program"; done
    cp "$(dirname "${BASH_SOURCE[0]}")/fake-systemctl" /usr/local/sbin/systemctl
    printf 'iid-1\n' >/run/lima-boot-done
    printf 'LIMA_CIDATA_USER=u\nLIMA_CIDATA_UID=501\nLIMA_CIDATA_HOME=/home/u.guest\n' >/run/lima.env
    export SOCI_LIMA_ENV=/run/lima.env
    cat >/etc/containerd/config.toml <<-CONFIG
		# Lima's
		version = 2
		imports = ["/etc/containerd/conf.d/*.toml"]
		disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.nri.v1.nri", "io.containerd.cri.v1.images"]

		[proxy_plugins]
		  [proxy_plugins."stargz"]
		    type = "snapshot"
		    address = "/run/containerd-stargz-grpc/containerd-stargz-grpc.sock"
	CONFIG
    systemctl_told restart containerd.service
}
systemctl_told() { PATH=/usr/local/sbin:$PATH systemctl "$@" >/dev/null; }

# guest_listing: paths, modes, owners and digests of all that the work may touch.
guest_listing() {
    { find /etc/containerd /etc/systemd /etc/soci-snapshotter-grpc /usr/local /var/lib -path /var/lib/containerd -prune -o \
        -printf '%p %y %m %U:%G %l\n' -type f -exec sha256sum {} \; 2>/dev/null || true; } | sort
}

guest() { guest-tool "$1" "$guest_bundle" "${@:2}" >>"$logs/guest.log" 2>&1; }
# guest_ends CODE VERB WORDS…
guest_ends() {
    local rc=0
    echo "== ${*:2}" >>"$logs/guest.log"
    guest "${@:2}" || rc=$?
    [ $rc -eq "$1" ] || fail "${*:2}: exit code $rc and not $1: $(tail -n 1 "$logs/guest.log")"
}

# guest_stop: what systemctl started.
guest_stop() { for unit in soci-snapshotter finch-soci containerd; do systemctl_told stop $unit.service; done; }
