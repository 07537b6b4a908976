/*
 * Lua without longjmp, which in WebAssembly would need exception handling: an error that reaches a
 * protected call is printed and ends the program with status 1. Included before each source file.
 */
#ifndef LUA_NO_LONGJMP_H
#define LUA_NO_LONGJMP_H

struct lua_State;
__attribute__((noreturn)) void lua_fatal_error(struct lua_State *L, int status);

#define luai_jmpbuf int
#define LUAI_TRY(L, c, a) { a }
#define LUAI_THROW(L, c) lua_fatal_error(L, (c)->status)

/* The order in which a table is walked must not differ from run to run. */
#define luai_makeseed(L) 0x9e3779b9u

/* WASI has no names for temporary files: os.tmpname fails. */
#define LUA_TMPNAMBUFSIZE 1
#define lua_tmpnam(buffer, error) { error = 1; }

#endif
