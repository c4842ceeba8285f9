# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with lib.sh and the scripts
# SPDX-License-Identifier: Apache-2.0
# windows.sh – finch-soci.exe, run by wine, beside the test's machine: a Windows with Finch where its installer puts it, and
# a user whose name is not of ASCII. Sourced after guest.sh by those scripts that need it.
#
#   windows_make           before guest_start; finch.yaml, with CRLF, is then $yaml, for the test's Finch too
#   soci_exe ARGS…         the program; finch-soci in PATH is it, too
#   windows_finch ARGS…    finch.exe, which passes on to the test's (../windows/relay.c)
#   windows_wsl STATE      from now on there is a wsl.exe, which says that of the machine
#   hook_…                 of hook.sh, over this user's log
#
# Lima's instance is a directory of its own there, which ../windows/windows_lima.py keeps like the machine's.

windows_build=$E2E_ROOT/build/windows
if [ ! -x "$windows_build/bin/finch-soci.exe" ] || [ ! -x "$windows_build/tests/windows/finch.exe" ]; then
    echo "skipped: needs the Windows build: ./tools/test --preset windows"
    exit 77
fi
export WINEPREFIX=$work/wine RELAY_PORT=7123
wine() { env -u LIMA_HOME "$E2E_ROOT/tests/windows/wine" "$@"; }
mkdir -p "$work/windows-bin"
printf '#!/bin/sh\nexec env -u LIMA_HOME "%s" "%s" "$@" </dev/null\n' "$E2E_ROOT/tests/windows/wine" \
    "$windows_build/bin/finch-soci.exe" >"$work/windows-bin/finch-soci"
chmod +x "$work/windows-bin/finch-soci"
PATH=$work/windows-bin:$PATH
soci_exe() { finch-soci "$@"; }

windows_root="$WINEPREFIX/drive_c/Program Files/Finch"
windows_instance=$windows_root/lima/data/finch
windows_finch() { wine 'C:\Program Files\Finch\bin\finch.exe' "$@" </dev/null; }

windows_agent_runs() { [ -s "$windows_instance/ha.pid" ] && [ -s "$windows_instance/ssh.config" ]; }

windows_make() {
    local user="$WINEPREFIX/drive_c/users/Jürgen Ä" limactl='C:\Program Files\Finch\lima\bin\limactl.exe'
    wine cmd /c exit >>"$logs/wine.log" 2>&1 </dev/null
    mkdir -p "$windows_root/bin" "$windows_root/lima/bin" "$windows_root/lima/data"
    cp "$windows_build/tests/windows/finch.exe" "$windows_root/bin/"
    cp "$windows_build/tests/windows/limactl.exe" "$windows_root/lima/bin/"
    export FINCH_SOCI_CONFIG='C:\users\Jürgen Ä\AppData\Local\.finch\finch.yaml' # wine has its own idea of whose it is
    yaml=$user/AppData/Local/.finch/finch.yaml
    mkdir -p "${yaml%/*}"
    sed 's/$/\r/' "$finch_yaml" >"$yaml"
    ln -sf "$yaml" "$finch_yaml"
    WINEPATH='C:\Program Files\Finch\bin'
    FINCH_SOCI_BUNDLE="Z:${FINCH_SOCI_BUNDLE//\//\\}"
    export WINEPATH FINCH_SOCI_BUNDLE
    ln -sfn / "$WINEPREFIX/dosdevices/y:"
    start relay python3 "$E2E_ROOT/tests/windows/relay.py" $RELAY_PORT "finch=$finch_root/bin/finch" \
        "limactl=$finch_root/lima/bin/limactl" "wsl=$work/wsl"
    start windows-lima env -u LIMA_HOME python3 "$E2E_ROOT/tests/windows/windows_lima.py" "$instance" "$windows_instance" \
        'C:\Program Files\Finch\lima\data\finch\ha.pid' "$E2E_ROOT/tests/windows/wine" "$limactl"
    hook_state=${yaml%/*}/finch-soci/finch
    hook_log=$hook_state/hook.log
}

windows_wsl() {
    # shellcheck disable=SC2016 # the program's own
    printf '#!/bin/bash\n[ "$*" = "--list --verbose" ] || exit 9\n' >"$work/wsl"
    printf 'printf "  NAME  STATUS  VERSION\\r\\n* andere  Running  2\\r\\n  lima-finch  %s  2\\r\\n" | iconv -t UTF-16LE\n' "$1" >>"$work/wsl"
    chmod +x "$work/wsl"
    cp "$windows_build/tests/windows/limactl.exe" "$WINEPREFIX/drive_c/windows/system32/wsl.exe"
}

# windows_all_green: `status` finds nothing wrong. What it says is then in $work/status.
windows_all_green() {
    soci_exe status >"$work/status" 2>&1 || fail "status: $(cat "$work/status")"
    soci_exe status --json >"$work/status.json" 2>>"$logs/status.log" || fail "status --json: $(cat "$work/status.json")"
    jq -e '.well and (.checks | length > 0 and all(.state != "not-well"))' "$work/status.json" >>"$logs/status.log" ||
        fail "status --json differs: $(cat "$work/status.json")"
}
