/*
 * Runs Lua: lua -e CHUNK [ARGS], or lua SCRIPT [ARGS].
 *
 * Exit status 1 for a script that failed, 2 for wrong arguments.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"

void lua_fatal_error(lua_State *L, int status)
{
    const char *message = status == LUA_ERRMEM ? "not enough memory" : lua_tostring(L, -1);
    fflush(stdout);
    fprintf(stderr, "lua: %s\n", message != NULL ? message : "(error object is not a string)");
    exit(1);
}

static int add_traceback(lua_State *L)
{
    const char *message = lua_tostring(L, 1);
    luaL_traceback(L, L, message != NULL ? message : "(error object is not a string)", 1);
    return 1;
}

/* WASI has no processes and no place for temporary files; os.execute and io.tmpfile say so. */
int system(const char *command)
{
    errno = ENOTSUP;
    return command == NULL ? 0 : -1;
}

FILE *tmpfile(void)
{
    errno = ENOTSUP;
    return NULL;
}

static void open_libraries(lua_State *L)
{
    luaL_openlibs(L);
    /* Random numbers start the same in every run; a script can seed them itself. */
    if (luaL_dostring(L, "math.randomseed(42)") != LUA_OK)
        lua_fatal_error(L, LUA_ERRRUN);
}

int main(int argc, char **argv)
{
    const int is_chunk = argc > 2 && strcmp(argv[1], "-e") == 0;
    if (argc < 2 || (argv[1][0] == '-' && !is_chunk)) {
        fprintf(stderr, "usage: lua -e CHUNK [ARGS], or lua SCRIPT [ARGS]\n");
        return 2;
    }
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        fprintf(stderr, "lua: not enough memory\n");
        return 1;
    }
    open_libraries(L);

    const int script = is_chunk ? 2 : 1;
    lua_createtable(L, argc - script - 1, script + 1);
    for (int index = 0; index < argc; index++) {
        lua_pushstring(L, argv[index]);
        lua_rawseti(L, -2, index - script);
    }
    lua_setglobal(L, "arg");

    lua_pushcfunction(L, add_traceback);
    const int loaded = is_chunk ? luaL_loadbuffer(L, argv[2], strlen(argv[2]), "=(command line)") : luaL_loadfile(L, argv[1]);
    if (loaded != LUA_OK)
        lua_fatal_error(L, loaded);
    for (int index = script + 1; index < argc; index++)
        lua_pushstring(L, argv[index]);
    const int status = lua_pcall(L, argc - script - 1, 0, -2 - (argc - script - 1));
    if (status != LUA_OK)
        lua_fatal_error(L, status);
    lua_close(L);
    fflush(stdout);
    return 0;
}
