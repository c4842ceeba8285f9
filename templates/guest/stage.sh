#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# stage.sh – makes the directory in which the contents of a plan wait, and prints its name.
set -eu
umask 077
mkdir -p /var/lib/finch-soci
mktemp -d /var/lib/finch-soci/stage.XXXXXX
