#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# 07-etc-environment.sh – the variables of Lima's configuration, for all who log in.
set -eu
touch /etc/environment
sed -i '/^#LIMA-START$/,/^#LIMA-END$/d' /etc/environment
{
    echo '#LIMA-START'
    cat "$LIMA_CIDATA_MNT/etc_environment"
    echo '#LIMA-END'
} >>/etc/environment
