# shellcheck shell=bash disable=SC2034 # variables are for the scripts
# SPDX-License-Identifier: Apache-2.0
# lib.sh – everything an end-to-end script needs. A script starts with:
#
#   set -euo pipefail
#   . "$(dirname "$0")/lib.sh"
#
# and is run by ./run, which gives it a world of its own (so ports and paths are fixed, and nothing needs cleaning
# up). It fails by a command that fails or by fail(), and ends with finish().

: "${E2E_DIR:?run me with tests/e2e/run SCRIPT}"
work=$E2E_DIR/work                # everything big; a directory where overlayfs may write
logs=$E2E_DIR/logs                # shown and kept when the script fails
namespace=${E2E_DIR##*/}          # containerd's
registry=127.0.0.1:5000           # the registry itself
far_registry=127.0.0.1:5001       # the same through slow-link, once link_start was called
faulty_registry=127.0.0.1:5003    # the same through fault-proxy, once faults_start was called
PATH=$E2E_BIN:$E2E_GO_TOOLS:/usr/sbin:/usr/bin:/sbin:/bin # the programs under test before any others
export CONTAINERD_NAMESPACE=$namespace

. "$(dirname "${BASH_SOURCE[0]}")/lib/processes.sh"    # fail, step, start, stop, wait_for, finish
. "$(dirname "${BASH_SOURCE[0]}")/lib/services.sh"     # registry, slow link, containerd, snapshotter
. "$(dirname "${BASH_SOURCE[0]}")/lib/images.sh"       # small images, made and pushed
. "$(dirname "${BASH_SOURCE[0]}")/lib/indexes.sh"      # SOCI indexes, changed
. "$(dirname "${BASH_SOURCE[0]}")/lib/registry_log.sh" # what was fetched, and how
. "$(dirname "${BASH_SOURCE[0]}")/lib/snapshots.sh"    # file trees outside of containers
. "$(dirname "${BASH_SOURCE[0]}")/lib/faults.sh"       # the registry, answering wrongly
