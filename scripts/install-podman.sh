#!/bin/sh
# Installs what `pnpm e2e:containers` needs, on Debian 12 as root: podman with compose, and debootstrap for the base image where
# none can be pulled. Does nothing where docker with compose answers, or all of it is there.
set -eu

if docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; then exit 0; fi

# Commands, and the packages that they come from; catatonit and the network tools are started by podman.
missing=
for pair in podman:podman podman-compose:podman-compose runc:runc debootstrap:debootstrap iptables:iptables; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
for package in catatonit netavark aardvark-dns containernetworking-plugins; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing="$missing $package"
done
if [ -z "$missing" ]; then exit 0; fi

export DEBIAN_FRONTEND=noninteractive
apt-get -qq -o DPkg::Lock::Timeout=120 update
# shellcheck disable=SC2086 # one word each
apt-get -qq -o DPkg::Lock::Timeout=120 install -y --no-install-recommends $missing
podman info >/dev/null
