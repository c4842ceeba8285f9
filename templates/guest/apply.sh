#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # state, root, aside and before are set in common.sh
# apply.sh – brings this machine to what the plan says. Its input is the plan, a step to a line; its output "step TEXT"
# before each, and "note TEXT". Each step looks first whether it is done already.
#
#   stage DIR                             where the contents are, each named by its digest
#   root DIR                              of the daemon's data
#   unit NAME                             the daemon's
#   config PATH                           what containerd reads
#   file EFFECTS MODE SHA256 KIND PATH    KIND: whole, or block: ours is a part of a file
#   link EFFECTS TARGET PATH
#   swap yes|no                           another's data goes aside; yes: also the containers that stand on it
#   effects EFFECTS                       of something that was found amiss
#   settle VERSION                        reloads, restarts and looks whether it works

# entry PATH NOW: is complete before PATH is changed.
entry() {
    dir=$state/entries/$(name_of "$1")
    is=$(what_is "$1")
    if [ -d "$dir" ] && ! grep -qxF "$is" "$dir/now" && [ "$is" != none ] && [ "$is" != dir ] &&
        ! grep -q 'finch-soci begin' "$1" 2>/dev/null; then
        # Somebody has put something of their own there since: that is what undo brings back.
        { [ -e "$dir/was" ] && [ "$(what_is "$dir/was")" = "$is" ]; } || rm -rf "$dir"
    fi
    if [ ! -d "$dir" ]; then
        rm -rf "$state/new"
        mkdir -p "$state/new"
        printf '%s\n' "$1" >"$state/new/path"
        : >"$state/new/now"
        [ "$is" = none ] || [ "$is" = dir ] || cp -a "$1" "$state/new/was"
        [ -z "${3:-}" ] || echo "$3" >"$state/new/kind"
        durable "$state"/new/*
        mv "$state/new" "$dir"
    fi
    grep -qxF "$2" "$dir/now" && return
    cp "$dir/now" "$state/now.new"
    printf '%s\n' "$2" >>"$state/now.new"
    durable "$state/now.new"
    mv -f "$state/now.new" "$dir/now"
}

parents() {
    todo='' dir_of=${1%/*}
    while [ ! -d "$dir_of" ]; do
        todo="$dir_of $todo"
        dir_of=${dir_of%/*}
    done
    for dir_of in $todo; do
        entry "$dir_of" dir
        mkdir -p "$dir_of"
        chmod 0755 "$dir_of"
    done
}

label() { ! command -v restorecon >/dev/null || quiet restorecon "$1" 2>/dev/null || true; }

# What a step that containerd may dislike replaces; kept from a run that was killed, too.
keep() {
    kept=$state/prev/$(name_of "$1")
    [ ! -e "$kept.path" ] || return 0
    mkdir -p "$state/prev"
    [ ! -e "$1" ] || cp -a "$1" "$kept.was"
    printf '%s\n' "$1" >"$kept.path"
}

changed() {
    parents "$1"
    point
    entry "$1" "$2" "${4:-}"
    point
    want "$3"
    point
    case $3 in *containerd*) keep "$1" ;; esac
}

step_file() {
    effects=$1 mode=$2 sum=$3 kind=$4 path=$5
    if [ "$(what_is "$path")" = "$sum" ] && [ "$(stat -c '%a %u %g' "$path")" = "$mode 0 0" ]; then return 0; fi
    echo "step install $path"
    [ ! -d "$path" ] || die "$path is a directory"
    changed "$path" "$sum" "$effects" "$kind"
    new=$path.finch-soci-new
    cp "$stage/$sum" "$new"
    [ "$(what_is "$new")" = "$sum" ] || die "$stage/$sum is not what was sent"
    chown 0:0 "$new"
    chmod "$mode" "$new"
    durable "$new"
    point
    mv -f "$new" "$path"
    label "$path"
    durable "${path%/*}"
    point
}

step_link() {
    effects=$1 target=$2 path=$3
    [ "$(what_is "$path")" != "link:$target" ] || return 0
    echo "step link $path"
    changed "$path" "link:$target" "$effects"
    rm -f "$path.finch-soci-new"
    ln -s "$target" "$path.finch-soci-new"
    mv -fT "$path.finch-soci-new" "$path"
    point
}

# The directory of data, and what is in it before ours.
step_root() {
    use_root "$1"
    if [ ! -e "$before" ]; then
        list=''
        [ ! -d "$root" ] || list=$(find "$root" -xdev -maxdepth 3 -exec stat -c '%a %u %g %n' {} +)
        parents "$root/."
        # Half of a list would be worse than none.
        if ! printf '%s\n' "$list" >"$before.new" || ! durable "$before.new"; then
            rm -f "$before.new"
            die "$root: no space left"
        fi
        mv -f "$before.new" "$before"
    fi
    echo "$root" >"$state/root"
}

# A container goes, since its snapshot does; what it has written is kept with the other's data until that comes back.
remove_container() {
    was=removed
    grep -qF "/$1/$2/rootfs " /proc/mounts || was='removed, which was stopped,'
    quiet ctr -n "$1" tasks rm -f "$2" >/dev/null 2>&1 || true
    upper=$(written_by "$1" "$2")
    saved=finch-soci-containers/$1-$2
    case $upper in
    "$root"/*)
        mkdir -p "$root/finch-soci-containers"
        if [ -n "$(ls -A "$upper" 2>/dev/null)" ] && [ ! -e "$root/$saved" ] && mv "$upper" "$root/$saved"; then
            mkdir -m 0755 "$upper"
        fi
        ;;
    esac
    quiet ctr -n "$1" containers rm "$2" >/dev/null 2>&1 || true
    echo "note $was container $2$([ ! -d "$root/$saved" ] || echo "; what it had written is in $aside/$saved until disable")"
}

# Swapped before ours is installed: while the other still answers containerd. What runs is not taken its files from but on
# request; what is stopped would be in the way for ever.
step_swap() {
    [ ! -e "$state/swapped" ] || return 0
    echo "step take over from the snapshotter that is here"
    if [ ! -e "$state/swapping" ]; then
        start_containerd
        quiet systemctl start "$unit.service" 2>/dev/null || true # it is asked for what it has
        there=$(running_containers)
        if [ -n "$there" ] && [ "$1" != yes ]; then
            echo "running containers use the snapshotter that is to be swapped: $(names "$there")" >&2
            exit 45
        fi
        there=$(containers)
        while read -r ns id; do
            [ -z "$id" ] || remove_container "$ns" "$id"
        done <<END
$there
END
        forget_images
        rm -rf --one-file-system "$aside" # of a machine that was here before: its data disk stays
        point
        : >"$state/swapping"
        durable "$state/swapping"
    fi
    point
    quiet systemctl stop "$unit.service" || die "$unit.service does not stop"
    unmount_layers
    want reload,daemon
    drop_older_of_ours
    move_aside
    point
    mv -f "$state/swapping" "$state/swapped"
    durable "$state"
}

roll_back() {
    for kept in "$state"/prev/*.path; do
        [ -e "$kept" ] || continue
        path=$(cat "$kept")
        if [ -e "${kept%.path}.was" ]; then
            cp -a "${kept%.path}.was" "$path.finch-soci-new"
            mv -f "$path.finch-soci-new" "$path"
            label "$path"
        else
            rm -f "$path"
        fi
    done
    rm -rf "$state/prev"
    durable "$state"
}

answers() { quiet timeout 5 /usr/local/bin/soci-snapshotter-grpc status --json >/dev/null 2>"$stage/why"; }
has_plugin() { quiet ctr plugins ls 2>"$stage/why" | grep -Eq '^io.containerd.snapshotter.v1 +soci .* ok'; }
serves() { quiet ctr -n default snapshots --snapshotter soci ls >/dev/null 2>"$stage/why"; }
# within SECONDS WHAT COMMAND
within() {
    until_s=$(($(date +%s) + $1))
    until "$3"; do
        [ "$(date +%s)" -lt $until_s ] || give_up "$2: $(head -c 300 "$stage/why" | tr '\n' ' ')"
        sleep 0.2 2>/dev/null || sleep 1
    done
}

restart_containerd() {
    echo "step restart containerd"
    quiet systemctl restart containerd.service 2>"$stage/why"
}

# why UNIT: it failed.
why() {
    words=$(last_words "$1" 2)
    [ -n "$words" ] || words=$(head -c 300 "$stage/why" | tr '\n' ' ')
    printf '%s' "$words"
}

# give_up TEXT: containerd goes on as it was before, at once.
give_up() {
    if [ -e "$state/prev" ]; then
        roll_back
        restart_containerd || true
        die "$*; containerd has its old configuration back"
    fi
    die "$*"
}

step_settle() {
    # shellcheck disable=SC2034 # words.sh reads it
    began_s=$(date +%s)
    if is_wanted containerd && ! quiet containerd ${config:+--config "$config"} config dump >/dev/null 2>"$stage/why"; then
        roll_back
        die "containerd does not take its new configuration, which was taken back: $(tail -n 1 "$stage/why" | head -c 300)"
    fi
    if is_wanted reload; then
        echo "step reload units"
        quiet systemctl daemon-reload || die "systemctl daemon-reload failed"
    fi
    point
    if is_wanted daemon; then
        echo "step restart $unit"
        quiet systemctl stop "$unit.service" 2>/dev/null || true
    fi
    point
    if is_wanted containerd && ! restart_containerd; then
        give_up "containerd does not start with its new configuration: $(why containerd)"
    fi
    point
    quiet systemctl start "$unit.service" 2>"$stage/why" || give_up "$unit.service does not start: $(why "$unit")"
    echo "step verify"
    within 30 "the daemon does not answer" answers
    within 30 "containerd does not know the snapshotter soci" has_plugin
    within 30 "containerd cannot list snapshots" serves
    point
    echo "$1" >"$state/applied.new"
    mv -f "$state/applied.new" "$state/applied"
    rm -rf "$state/prev" "$state/pending"
    durable "$state"
}

run_step() {
    verb=$1
    shift
    case $verb in
    stage) stage=$1 ;;
    root) step_root "$1" ;;
    unit) unit=$1 ;;
    config) [ "$1" = /etc/containerd/config.toml ] || config=$1 ;;
    file) step_file "$@" ;;
    link) step_link "$@" ;;
    swap) step_swap "$@" ;;
    effects) want "$1" ;;
    settle) step_settle "$@" ;;
    *) die "no such step: $verb" ;;
    esac
}

plan=$(cat)
lock
mkdir -p "$state/entries"
chmod 0700 "$state"
unit=soci-snapshotter
config=''
stage=none
rest=$plan
while [ -n "$rest" ]; do
    line=${rest%%"
"*}
    case $rest in *"
"*) rest=${rest#*"
"} ;; *) rest='' ;; esac
    # shellcheck disable=SC2086 # a line is words, none of which has a space or a pattern in it
    set -f && set -- $line && set +f
    [ $# -eq 0 ] || run_step "$@"
done
rm -rf "$stage"
find "$state" -maxdepth 1 -name 'stage.*' -mmin +60 -exec rm -rf {} +
