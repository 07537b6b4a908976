#!/bin/sh
# Installs what the tests with real QEMU need, on Debian 12 as root: release 10.0 from bookworm-backports, and 7.2 unpacked
# beside it. Does nothing where both are there. PEREGRINE_QEMU_10 and PEREGRINE_QEMU_72 name binaries elsewhere.
set -eu

OLD=/opt/qemu-7.2
old_binary=${PEREGRINE_QEMU_72:-$OLD/usr/bin/qemu-system-x86_64}
new_binary=${PEREGRINE_QEMU_10:-/usr/bin/qemu-system-x86_64}

# runs BINARY RELEASE: whether it is there with all its libraries, and of that release.
runs() {
  "$1" --version 2>/dev/null | grep -q "^QEMU emulator version $2\."
}

if runs "$old_binary" 7.2 && runs "$new_binary" 10.0; then exit 0; fi

export DEBIAN_FRONTEND=noninteractive
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Runs apt with sources of its own, so that the system's are left alone, whatever they are.
private_apt() {
  apt-get -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$work/lists" -o DPkg::Lock::Timeout=120 -o APT::Sandbox::User= "$@"
}

mkdir -p "$work/lists/partial"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
cat >"$work/sources.list" <<END
deb [signed-by=$keyring] http://deb.debian.org/debian bookworm main
deb [signed-by=$keyring] http://deb.debian.org/debian bookworm-backports main
deb [signed-by=$keyring] http://deb.debian.org/debian-security bookworm-security main
END
private_apt update

runs "$new_binary" 10.0 ||
  private_apt install -y --no-install-recommends -t bookworm-backports qemu-system-x86

if ! runs "$old_binary" 7.2; then
  mkdir -p "$work/old"
  (cd "$work/old" && private_apt download "qemu-system-x86=1:7.2*" "qemu-system-common=1:7.2*" "qemu-system-data=1:7.2*")
  for package in "$work"/old/*.deb; do dpkg -x "$package" "$OLD"; done
  # Libraries that it needs and 10.0 does not.
  libraries=$(dpkg-deb -f "$work"/old/qemu-system-x86_*.deb Depends | tr ',' '\n' | sed -n 's/^ *\(lib[^ |]*\).*/\1/p')
  # shellcheck disable=SC2086 # one word each
  private_apt install -y --no-install-recommends $libraries
fi

for release in "7.2 $old_binary" "10.0 $new_binary"; do
  if ! runs "${release#* }" "${release% *}"; then
    echo "install-qemu: QEMU ${release% *} does not run at ${release#* }" >&2
    exit 1
  fi
done
