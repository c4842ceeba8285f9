# shellcheck shell=bash disable=SC2154 # variables are shared with lib.sh and the scripts
# SPDX-License-Identifier: Apache-2.0
# user_manager.sh – systemd's manager of the user who runs the script, as it is on a Linux machine after login. Sourced by
# those scripts that need it, after lib.sh.

# user_manager_start: `systemctl --user` works from now on. It wants a system that systemd has booted, and a control
# group of its own; `run` removes that by the world's name.
user_manager_start() {
    local hierarchy
    export XDG_RUNTIME_DIR=/run/user/$UID
    mkdir -p /run/systemd/system "$XDG_RUNTIME_DIR"
    (
        for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
            [ -e "$hierarchy/cgroup.procs" ] || continue
            mkdir -p "$hierarchy/$namespace/user-manager"
            echo "$BASHPID" >"$hierarchy/$namespace/user-manager/cgroup.procs"
        done
        cd /
        exec /lib/systemd/systemd --user --log-target=console
    ) >>"$logs/user-manager.log" 2>&1 </dev/null &
    pids[user-manager]=$!
    wait_for 20 "user manager" systemctl --user show --property=Version
}

# user_manager_stop: as at logout.
user_manager_stop() {
    kill -TERM "${pids[user-manager]}"
    wait "${pids[user-manager]}" || true
    unset "pids[user-manager]"
}

hook_pid() { systemctl --user show --property=MainPID --value finch-soci-hook.service; }
