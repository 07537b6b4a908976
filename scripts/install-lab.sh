#!/bin/sh
# Installs what `pnpm e2e:hosts` needs, on Debian 12 as root: tools for network namespaces, and what the guide uses. Does
# nothing where all of it is there.
set -eu

missing=
for pair in ip:iproute2 tc:iproute2 unshare:util-linux nsenter:util-linux setpriv:util-linux openssl:openssl socat:socat useradd:passwd; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
if [ -z "$missing" ]; then exit 0; fi

export DEBIAN_FRONTEND=noninteractive
apt-get -qq -o DPkg::Lock::Timeout=120 update
# shellcheck disable=SC2086 # one word each
apt-get -qq -o DPkg::Lock::Timeout=120 install -y --no-install-recommends $missing
