#!/bin/bash
# Makes a root with the libraries of another processor, for the cross files beside this script:
#
#   tools/cross/sysroot.sh ARCHITECTURE DIRECTORY    e.g. s390x build-check/sys-s390x
#
# Leaves DIRECTORY.ini, which sets the constant "sys" the cross files build upon. Nothing is booted and
# nothing installed: packages are fetched from where this machine has its own, and unpacked. A root that
# has all the packages a build needs is taken as it is.
set -eu
architecture=$1
directory=$(realpath -m "$2")
making=$directory.making
# shellcheck source=tools/packages.sh
. "$(dirname "$0")/../packages.sh"

packages=
for name in "${build_packages[@]}"; do
    case $name in lib*-dev) packages=${packages:+$packages,}$name ;; esac
done
if [ "$(cat "$directory.packages" 2>/dev/null)" != "$packages" ]; then
    rm -rf "$directory" "$making"
    mkdir -p "$making"
    # Only the first stanza: the index of the security archive is not always there for others.
    sed '/^$/,$d' /etc/apt/sources.list.d/debian.sources >"$making.sources"
    # shellcheck source=/dev/null
    . /etc/os-release
    mmdebstrap --quiet --variant=extract --arch="$architecture" --include="$packages" \
        "$VERSION_CODENAME" "$making" "$making.sources"
    rm "$making.sources"
    mv "$making" "$directory"
    printf '%s' "$packages" >"$directory.packages"
fi
printf "[constants]\nsys = '%s'\n" "$directory" >"$directory.ini"
