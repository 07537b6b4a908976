/* wasi-libc has no setjmp.h. Lua includes it, but in this build uses nothing from it. */
