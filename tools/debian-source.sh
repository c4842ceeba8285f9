# shellcheck shell=bash disable=SC2154 # scratch is the script's
# SPDX-License-Identifier: Apache-2.0
# debian-source.sh – source packages of Debian, from where this machine gets its packages; apt checks them against the
# signed lists. The script has sourced lib.sh, and has a directory $scratch.
#
#   debian_sources RELEASE          then those of that release are to be had
#   debian_source PACKAGE DIR       unpacked, with Debian's changes, in DIR/PACKAGE; DIR/VERSIONS says which it is

# What apt is configured with for this Debian, as sources of source packages of RELEASE.
write_source_lists() {
    local dir=$1 release=$2 ours
    ours=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # One-line format: the suite is the first word behind the address.
    sed -nE "s/^deb +((\[[^]]*\] +)?[^ ]+ +)${ours}([^ ]* .*)/deb-src \1$release\3/p" \
        /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null >"$dir/ours.list" || true
    # Stanzas: those that name this release.
    cat /etc/apt/sources.list.d/*.sources 2>/dev/null | grep -v '^#' |
        awk -v RS= -v suite="Suites:[^\n]*$ours" -v ours="$ours" -v release="$release" '
            $0 ~ suite { sub(/Types:[^\n]*/, "Types: deb-src"); gsub(ours, release); print $0 "\n" }' \
            >"$dir/ours.sources" || true
    [ -s "$dir/ours.list" ] || [ -s "$dir/ours.sources" ] || die "apt is configured with no source of Debian $ours"
}

apt_for_sources() {
    "$@" -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$scratch/apt" \
        -o Dir::State::lists="$scratch/lists" -o Dir::Cache="$scratch/cache" -o APT::Sandbox::User=
}

debian_sources() {
    mkdir -p "$scratch/apt" "$scratch/lists/partial"
    write_source_lists "$scratch/apt" "$1"
    run_quietly "$scratch/log" apt_for_sources apt-get update
}

# apt_versions PACKAGE: the newest first.
apt_versions() {
    apt_for_sources apt-cache showsrc --only-source "$1" | sed -n 's/^Version: //p' |
        sort -u | while read -r version; do
        # dpkg knows their order: how many others are older.
        older=0
        while read -r other; do
            ! dpkg --compare-versions "$version" gt "$other" || older=$((older + 1))
        done < <(apt_for_sources apt-cache showsrc --only-source "$1" | sed -n 's/^Version: //p')
        echo "$older $version"
    done | sort -rn | cut -d' ' -f2
}

# The newest that is to be had: while a mirror is being renewed, its lists may name what it does not hold yet.
debian_source() {
    local package=$1 to=$2 version dir=$scratch/fetch/$1 first=yes
    for version in $(apt_versions "$package"); do
        rm -rf "$dir"
        mkdir -p "$dir"
        if (cd "$dir" && apt_for_sources apt-get source "$package=$version" >"$scratch/log" 2>&1 </dev/null); then
            mv "$dir"/*/ "$to/$package"
            echo "$package $version" >>"$to/VERSIONS"
            [ $first = yes ] || warn "$package: $version, since the newest is not to be had here"
            return
        fi
        first=no
    done
    tail -n 20 "$scratch/log" >&2 || true
    die "no source package $package"
}
