/* Debian's Lua takes its module path from here. WASI programs load no modules. */
#define DEB_HOST_MULTIARCH "wasm32-wasi"
