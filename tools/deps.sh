#!/bin/sh
# SPDX-License-Identifier: MIT
# tools/deps.sh LIST...: installs the Debian packages of packages-LIST.txt that are missing.
set -eu
dir=$(cd "$(dirname "$0")" && pwd)

command -v dpkg-query >/dev/null 2>&1 || {
    echo "deps: this is no Debian: what is needed is in $dir/packages-*.txt" >&2
    exit 0
}

missing= foreign=
for list; do
    while read -r package comment; do
        case $package in '' | '#'*) continue ;; esac
        status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || :)
        case $status in *' installed') continue ;; esac
        missing="$missing $package"
        case $package in *:*) foreign="$foreign ${package#*:}" ;; esac
    done <"$dir/packages-$list.txt"
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "deps: missing packages; as root: apt-get install$missing" >&2
        exit 1
    }
    sudo=sudo
fi
echo "deps: installing$missing"
for arch in $foreign; do
    dpkg --print-foreign-architectures | grep -qx "$arch" || $sudo dpkg --add-architecture "$arch"
done
$sudo apt-get update -q
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -qy --no-install-recommends $missing
