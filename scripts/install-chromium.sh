#!/bin/sh
# Installs what the tests of the dashboard's page need, on Debian as root: its Chromium. Does nothing where it is there.
# PEREGRINE_CHROMIUM names one elsewhere.
set -eu

browser=${PEREGRINE_CHROMIUM:-/usr/bin/chromium}

runs() {
  "$browser" --version 2>/dev/null | grep -q '^Chromium '
}

if runs; then exit 0; fi

export DEBIAN_FRONTEND=noninteractive
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Runs apt with sources of its own, so that the system's are left alone, whatever they are.
private_apt() {
  apt-get -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$work/lists" -o DPkg::Lock::Timeout=300 -o APT::Sandbox::User= "$@"
}

mkdir -p "$work/lists/partial"
# shellcheck disable=SC1091 # of the system
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
cat >"$work/sources.list" <<END
deb [signed-by=$keyring] http://deb.debian.org/debian $release main
deb [signed-by=$keyring] http://deb.debian.org/debian-security $release-security main
END
private_apt update
# The fonts are what the page is written in.
private_apt install -y --no-install-recommends chromium fonts-dejavu-core

if ! runs; then
  echo "install-chromium: Chromium does not run at $browser" >&2
  exit 1
fi
