/* The file layer of SQLite on WASI. */
#ifndef SQLITE_GUEST_VFS_H
#define SQLITE_GUEST_VFS_H

/* Deletes a database and its journal if they exist. Returns 0, or -1 with errno set. */
int delete_database(const char *path);

#endif
