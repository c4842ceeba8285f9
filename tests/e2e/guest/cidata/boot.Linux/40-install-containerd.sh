#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# 40-install-containerd.sh – the programs and the unit of nerdctl's full archive, where they are missing, and
# containerd's configuration, where there is none.
set -eu

units=/usr/local/lib/systemd/system
if [ ! -e /usr/local/bin/containerd ]; then
    cp "$LIMA_CIDATA_MNT"/nerdctl-full/* /usr/local/bin/
    chmod 0755 /usr/local/bin/*
    mkdir -p "$units"
    cat >"$units/containerd.service" <<END
[Unit]
Description=containerd container runtime
Documentation=https://containerd.io
After=network.target dbus.service

[Service]
ExecStart=/usr/local/bin/containerd
Type=notify
Delegate=yes
KillMode=process
Restart=always
RestartSec=5
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
OOMScoreAdjust=-999

[Install]
WantedBy=multi-user.target
END
    chmod 0644 "$units/containerd.service"
    systemctl daemon-reload
fi
if [ ! -e /etc/containerd/config.toml ]; then
    mkdir -p /etc/containerd
    cat >/etc/containerd/config.toml <<END
  version = 2
  # TODO: remove imports after upgrading containerd to v2.2, as
  # conf.d is set by default since v2.2.
  imports = ['/etc/containerd/conf.d/*.toml']
  [plugins."io.containerd.grpc.v1.cri"]
    enable_cdi = true
  [proxy_plugins]
    [proxy_plugins."stargz"]
      type = "snapshot"
      address = "/run/containerd-stargz-grpc/containerd-stargz-grpc.sock"
END
fi
systemctl enable --now containerd
