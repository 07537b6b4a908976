/*
 * The file layer of SQLite on WASI: plain files, one process, hence no locks and no shared memory.
 * Random numbers are a fixed sequence, so that every run is the same.
 */
#include "vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sqlite3.h"

#define PATH_LIMIT 512
#define JULIAN_DAY_OF_1970_MS 210866760000000

struct wasi_file {
    sqlite3_file base;
    int fd;
    int delete_on_close;
    char path[PATH_LIMIT];
};

static struct wasi_file *of(sqlite3_file *file)
{
    return (struct wasi_file *)file;
}

static int file_close(sqlite3_file *file)
{
    const int status = close(of(file)->fd);
    if (of(file)->delete_on_close)
        unlink(of(file)->path);
    return status == 0 ? SQLITE_OK : SQLITE_IOERR_CLOSE;
}

static int file_read(sqlite3_file *file, void *bytes, int amount, sqlite3_int64 offset)
{
    int done = 0;
    while (done < amount) {
        const ssize_t length = pread(of(file)->fd, (char *)bytes + done, (size_t)(amount - done), offset + done);
        if (length < 0)
            return SQLITE_IOERR_READ;
        if (length == 0) {
            memset((char *)bytes + done, 0, (size_t)(amount - done));
            return SQLITE_IOERR_SHORT_READ;
        }
        done += (int)length;
    }
    return SQLITE_OK;
}

static int file_write(sqlite3_file *file, const void *bytes, int amount, sqlite3_int64 offset)
{
    int done = 0;
    while (done < amount) {
        const ssize_t length = pwrite(of(file)->fd, (const char *)bytes + done, (size_t)(amount - done), offset + done);
        if (length <= 0)
            return errno == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
        done += (int)length;
    }
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return ftruncate(of(file)->fd, size) == 0 ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

static int file_sync(sqlite3_file *file, int flags)
{
    (void)flags;
    return fsync(of(file)->fd) == 0 ? SQLITE_OK : SQLITE_IOERR_FSYNC;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    struct stat status;
    if (fstat(of(file)->fd, &status) != 0)
        return SQLITE_IOERR_FSTAT;
    *size = status.st_size;
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *file, int level)
{
    (void)file, (void)level;
    return SQLITE_OK;
}

static int file_check_reserved_lock(sqlite3_file *file, int *reserved)
{
    (void)file;
    *reserved = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
    (void)file, (void)operation, (void)argument;
    return SQLITE_NOTFOUND;
}

static int file_sector_size(sqlite3_file *file)
{
    (void)file;
    return 4096;
}

static int file_characteristics(sqlite3_file *file)
{
    (void)file;
    return 0;
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 1,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_lock,
    .xCheckReservedLock = file_check_reserved_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
};

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *flags_out)
{
    (void)vfs;
    struct wasi_file *const opened = of(file);
    memset(opened, 0, sizeof *opened);
    /* Nameless temporary files do not occur: SQLITE_TEMP_STORE=3 keeps them in memory. */
    if (path == NULL || strlen(path) >= sizeof opened->path)
        return SQLITE_CANTOPEN;
    int mode = flags & SQLITE_OPEN_READWRITE ? O_RDWR : O_RDONLY;
    if (flags & SQLITE_OPEN_CREATE)
        mode |= O_CREAT;
    if (flags & SQLITE_OPEN_EXCLUSIVE)
        mode |= O_EXCL;
    opened->fd = open(path, mode, 0644);
    if (opened->fd < 0)
        return SQLITE_CANTOPEN;
    opened->delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    strcpy(opened->path, path);
    opened->base.pMethods = &file_methods;
    if (flags_out != NULL)
        *flags_out = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_directory)
{
    (void)vfs, (void)sync_directory;
    if (unlink(path) == 0)
        return SQLITE_OK;
    return errno == ENOENT ? SQLITE_IOERR_DELETE_NOENT : SQLITE_IOERR_DELETE;
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *result)
{
    (void)vfs, (void)flags;
    struct stat status;
    *result = stat(path, &status) == 0;
    return SQLITE_OK;
}

static int vfs_full_pathname(sqlite3_vfs *vfs, const char *path, int limit, char *full)
{
    (void)vfs;
    return snprintf(full, (size_t)limit, "%s", path) < limit ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int vfs_randomness(sqlite3_vfs *vfs, int amount, char *bytes)
{
    (void)vfs;
    static uint32_t state = 2463534242;
    for (int index = 0; index < amount; index++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        bytes[index] = (char)(state >> 8);
    }
    return amount;
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    const struct timespec pause = {.tv_sec = microseconds / 1000000, .tv_nsec = microseconds % 1000000 * 1000};
    nanosleep(&pause, NULL);
    return microseconds;
}

static int vfs_current_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *julian_ms)
{
    (void)vfs;
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return SQLITE_ERROR;
    *julian_ms = JULIAN_DAY_OF_1970_MS + (sqlite3_int64)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    return SQLITE_OK;
}

static int vfs_current_time(sqlite3_vfs *vfs, double *julian_days)
{
    sqlite3_int64 julian_ms = 0;
    const int status = vfs_current_time_ms(vfs, &julian_ms);
    *julian_days = (double)julian_ms / 86400000.0;
    return status;
}

static int vfs_last_error(sqlite3_vfs *vfs, int limit, char *message)
{
    (void)vfs, (void)limit, (void)message;
    return errno;
}

static sqlite3_vfs wasi_vfs = {
    .iVersion = 2,
    .szOsFile = sizeof(struct wasi_file),
    .mxPathname = PATH_LIMIT,
    .zName = "wasi",
    .xOpen = vfs_open,
    .xDelete = vfs_delete,
    .xAccess = vfs_access,
    .xFullPathname = vfs_full_pathname,
    .xRandomness = vfs_randomness,
    .xSleep = vfs_sleep,
    .xCurrentTime = vfs_current_time,
    .xGetLastError = vfs_last_error,
    .xCurrentTimeInt64 = vfs_current_time_ms,
};

/* SQLite calls these two itself when it is built with SQLITE_OS_OTHER. */
int sqlite3_os_init(void)
{
    return sqlite3_vfs_register(&wasi_vfs, 1);
}

int sqlite3_os_end(void)
{
    return SQLITE_OK;
}

int delete_database(const char *path)
{
    char journal[PATH_LIMIT];
    if (snprintf(journal, sizeof journal, "%s-journal", path) >= (int)sizeof journal) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (unlink(path) != 0 && errno != ENOENT)
        return -1;
    return unlink(journal) != 0 && errno != ENOENT ? -1 : 0;
}
