#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091 # vm writes these files
# boot.sh – runs at each boot, as root: Lima's scripts, Finch's system scripts, its user scripts; then says so, whether
# or not they failed.
set -eu

set -a
. "$LIMA_CIDATA_MNT/lima.env"
. "$LIMA_CIDATA_MNT/etc_environment"
set +a
failed=

# attempt COMMAND…
attempt() {
    echo "LIMA $(date -Iseconds)| Executing $*"
    "$@" || {
        echo "LIMA $(date -Iseconds)| WARNING: Failed to execute $*"
        failed=yes
    }
}

for script in "$LIMA_CIDATA_MNT"/boot.Linux/*.sh; do
    attempt sh "$script"
done
for script in "$LIMA_CIDATA_MNT"/provision.system/*; do
    [ ! -e "$script" ] || attempt bash "$script"
done

until [ -e "/run/user/$LIMA_CIDATA_UID/systemd/private" ]; do
    sleep 0.1
done
own=$LIMA_CIDATA_HOME/.lima-user-script
for script in "$LIMA_CIDATA_MNT"/provision.user/*; do
    cp "$script" "$own"
    chown "$LIMA_CIDATA_USER" "$own"
    chmod 0755 "$own"
    attempt sudo -iu "$LIMA_CIDATA_USER" "XDG_RUNTIME_DIR=/run/user/$LIMA_CIDATA_UID" "$own"
    rm "$own"
done

[ -z "$failed" ] || echo yes >/run/lima-boot-failed # Lima's exit status, which nobody outside sees here
echo "$LIMA_CIDATA_IID" >/run/lima-boot-done
