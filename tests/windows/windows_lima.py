#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""windows_lima.py LINUX WINDOWS PID_FILE LIMACTL… – keeps WINDOWS, the directory of Lima's instance that a program run by
wine looks at, like LINUX, the one of the test's machine: made and removed, stopped and started with it.

But for one thing: the host agent. On Windows its number is that of a process of Windows, which is what the hook's watcher
waits for. So for each run of the machine there is one, `LIMACTL… hostagent --pidfile PID_FILE`, that writes that file itself
and ends with the machine. When somebody kills it, its file stays and there is no other until the machine starts again."""
import os
import re
import shutil
import subprocess
import sys
import time

linux, windows, pid_file = sys.argv[1:4]
limactl = sys.argv[4:]


def read(name):
    try:
        with open(os.path.join(linux, name), "rb") as file:
            return file.read()
    except OSError:
        return b""


def put(name, content):
    path = os.path.join(windows, name)
    if os.path.exists(path):
        with open(path, "rb") as file:
            if file.read() == content:
                return
    with open(path + ".tmp", "wb") as file:
        file.write(content)
    os.rename(path + ".tmp", path)


def for_windows(config):
    """As Lima writes it there: MSYS has drives as directories; y: is the test's root."""
    return re.sub(rb'(?m)^(  IdentityFile) "?(/[^"\n]*)"?$', rb"\1 '/y\2'", config)


def end(agent):
    if agent is not None:
        agent.stdin.close()
        agent.wait()


agent, run = None, b""
while True:
    now = read("ha.pid").strip()
    if now != run:
        end(agent)
        agent, run = None, now
    if read("lima.yaml"):
        os.makedirs(windows, exist_ok=True)
        for name in ("lima.yaml", "lima-version"):
            put(name, read(name))
        if read("ssh.config"):
            put("ssh.config", for_windows(read("ssh.config")))
        if run and agent is None:
            agent = subprocess.Popen(limactl + ["hostagent", "--pidfile", pid_file], stdin=subprocess.PIPE)
    elif os.path.exists(windows):
        shutil.rmtree(windows)
    time.sleep(0.1)
