#!/bin/sh
# Rebuilds every guest here on Debian 12. Needs no root, but these packages:
#
#   apt-get install --no-install-recommends clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32 \
#     rustc libstd-rust-dev-wasm32 dpkg-dev gcc make tcl wabt
#
# Lua and SQLite come from Debian's source packages, fetched with apt into a temporary directory.
set -eu

LUA=lua5.4=5.4.4-3+deb12u1
SQLITE=sqlite3=3.40.1-2+deb12u2
COMPILE="clang-19 --target=wasm32-wasi -std=gnu17 -O2 -Wl,--strip-debug,--stack-first"
STRICT="-Wall -Wextra -Werror"
STACK=-Wl,-z,stack-size=1048576
DEEP_STACK=-Wl,-z,stack-size=8388608

cd "$(dirname "$0")/src"
guests=$(cd .. && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Runs apt on a source list and a state of its own, so that the system's are left alone.
private_apt() {
  apt-get -qq -o Dir::Etc::SourceList="$work/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" -o APT::Sandbox::User= "$@"
}

fetch_sources() {
  mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/fetched"
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  cat >"$work/apt/sources.list" <<END
deb-src [signed-by=$keyring] http://deb.debian.org/debian bookworm main
deb-src [signed-by=$keyring] http://deb.debian.org/debian-security bookworm-security main
END
  private_apt update
  (cd "$work/fetched" && private_apt source --download-only "$LUA" "$SQLITE")
  dpkg-source --no-check -x "$work"/fetched/lua5.4_*.dsc "$work/lua" >/dev/null
  # SQLite itself is in the public domain, Debian's changes to it are not.
  dpkg-source --no-check --skip-patches -x "$work"/fetched/sqlite3_*.dsc "$work/sqlite" >/dev/null
}

build_own() {
  for name in torture numeric console files sleeper counter drive; do
    $COMPILE $STRICT $STACK "$name.c" -o "$guests/$name.wasm"
  done
  $COMPILE $STRICT $DEEP_STACK recursion.c -o "$guests/recursion.wasm"
  $COMPILE $STRICT $STACK -mbulk-memory grow.c -o "$guests/grow.wasm"
  $COMPILE $STRICT $STACK -msimd128 numeric.c -o "$guests/numeric-simd.wasm"
}

build_lua() {
  patch -s -p1 -d "$work/lua" <lua/yield-without-longjmp.patch
  rm "$work/lua/src/lua.c" "$work/lua/src/luac.c"
  $COMPILE -Wall -Wno-deprecated-declarations -Wno-unused-function $STACK \
    -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_PROCESS_CLOCKS \
    -include lua/no-longjmp.h -I lua/include -I "$work/lua/src" \
    lua/main.c "$work"/lua/src/*.c -lwasi-emulated-signal -lwasi-emulated-process-clocks \
    -o "$guests/lua.wasm"
}

build_sqlite() {
  mkdir "$work/amalgamation"
  (cd "$work/amalgamation" && ../sqlite/configure --disable-tcl --disable-readline && make sqlite3.c) \
    >"$work/amalgamation.log" 2>&1 || { cat "$work/amalgamation.log" >&2; exit 1; }
  $COMPILE -c -DSQLITE_OS_OTHER=1 -DSQLITE_THREADSAFE=0 -DSQLITE_TEMP_STORE=3 \
    -DSQLITE_MAX_MMAP_SIZE=0 -DSQLITE_DEFAULT_MEMSTATUS=0 -DSQLITE_DQS=0 \
    -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_WAL -Wno-unused-command-line-argument \
    "$work/amalgamation/sqlite3.c" -o "$work/sqlite3.o"
  $COMPILE $STRICT $STACK -I "$work/amalgamation" sqlite/main.c sqlite/vfs.c "$work/sqlite3.o" \
    -o "$guests/sqlite.wasm"
}

# Debian's compiler by its path: another one may come first in PATH.
build_rust() {
  /usr/bin/rustc --edition 2021 --target wasm32-wasi -D warnings -C opt-level=2 -C codegen-units=1 \
    -C panic=abort -C strip=debuginfo -C linker=wasm-ld-19 -C link-arg=--no-fatal-warnings \
    rust.rs -o "$guests/rust.wasm"
}

# Nothing but WASI preview 1 may be imported, and no exception handling may be used.
check_modules() {
  for module in "$guests"/*.wasm; do
    if wasm-objdump -x -j Import "$module" | grep '<- ' | grep -v '<- wasi_snapshot_preview1\.' >&2; then
      echo "$module: imports something else than WASI preview 1" >&2
      exit 1
    fi
    if wasm-objdump -d "$module" | grep -m 1 -E '\| +(try|catch|catch_all|throw|rethrow|delegate|try_table)\b' >&2; then
      echo "$module: uses exception handling" >&2
      exit 1
    fi
  done
}

fetch_sources
build_own
build_lua
build_sqlite
build_rust
chmod 644 "$guests"/*.wasm
check_modules
(cd "$guests" && sha256sum -- *.wasm)
