/*
 * File writer. Works on files in an empty directory, holds several open for the whole run at
 * differing offsets, checks all it reads, and leaves files of deterministic content.
 *
 *   files DIRECTORY [--rounds N] [--work STEPS]
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"

#define RECORD_BYTES 64
#define RING_RECORDS 32

static const char *directory;
static int log_fd;    /* O_APPEND: one line per round, for the whole run */
static int ring_fd;   /* read and write: RING_RECORDS records, written round robin by offset */
static int reader_fd; /* the same file, read half a ring behind the writer */

__attribute__((noreturn)) static void fail_errno(const char *what)
{
    fail(EXIT_BROKEN, "files: %s failed: %s", what, strerror(errno));
}

static const char *path_of(const char *name)
{
    static char path[512];
    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path)
        fail(EXIT_USAGE, "files: the path of the directory is too long");
    return path;
}

static int open_file(const char *name, int flags)
{
    const int fd = open(path_of(name), flags, 0644);
    if (fd < 0)
        fail_errno(name);
    return fd;
}

static void write_all(int fd, const void *bytes, size_t length)
{
    if (write(fd, bytes, length) != (ssize_t)length)
        fail_errno("write");
}

static void read_all(int fd, void *bytes, size_t length)
{
    if (read(fd, bytes, length) != (ssize_t)length)
        fail_errno("read");
}

static void expect(int holds, const char *what, uint64_t round)
{
    if (!holds)
        fail(EXIT_BROKEN, "files: round %llu: %s", (unsigned long long)round, what);
}

static void make_record(char record[RECORD_BYTES], uint64_t round)
{
    memset(record, '.', RECORD_BYTES);
    snprintf(record, RECORD_BYTES, "record %08llu %016llx", (unsigned long long)round, (unsigned long long)mix64(round));
    record[RECORD_BYTES - 1] = '\n';
}

/* Both descriptors move on by one record in every round; neither is ever set from a known position. */
static void turn_ring(uint64_t round)
{
    char record[RECORD_BYTES], found[RECORD_BYTES];
    make_record(record, round);
    expect(lseek(ring_fd, 0, SEEK_CUR) == (off_t)((round - 1) % RING_RECORDS * RECORD_BYTES), "the writer's offset is wrong", round);
    write_all(ring_fd, record, sizeof record);
    if (round % RING_RECORDS == 0 && lseek(ring_fd, 0, SEEK_SET) != 0)
        fail_errno("lseek");

    if (round <= RING_RECORDS / 2)
        return;
    const uint64_t wanted = round - RING_RECORDS / 2;
    make_record(record, wanted);
    read_all(reader_fd, found, sizeof found);
    expect(memcmp(record, found, sizeof record) == 0, "the reader found a wrong record", round);
    if (wanted % RING_RECORDS == 0 && lseek(reader_fd, -RING_RECORDS * RECORD_BYTES, SEEK_CUR) != 0)
        fail_errno("lseek");
}

static void append_log(uint64_t round)
{
    char line[RECORD_BYTES];
    const int length = snprintf(line, sizeof line, "round %08llu\n", (unsigned long long)round);
    write_all(log_fd, line, (size_t)length);
    struct stat status;
    if (fstat(log_fd, &status) != 0)
        fail_errno("fstat");
    expect(status.st_size == (off_t)(round * (uint64_t)length), "the log has a wrong size", round);
}

/* A short-lived file: written, truncated, extended, renamed, statted, read back, removed. */
static void shape_file(uint64_t round)
{
    char bytes[3000], found[4096];
    struct stat status;
    for (size_t index = 0; index < sizeof bytes; index++)
        bytes[index] = (char)('a' + (index + round) % 26);
    const off_t cut = (off_t)(1000 + round % 1000);

    const int fd = open_file("draft.tmp", O_RDWR | O_CREAT | O_TRUNC);
    write_all(fd, bytes, sizeof bytes);
    if (ftruncate(fd, cut) != 0 || ftruncate(fd, sizeof found) != 0)
        fail_errno("ftruncate");
    expect(pwrite(fd, "END", 3, (off_t)sizeof found - 3) == 3, "pwrite failed", round);
    expect(lseek(fd, 0, SEEK_CUR) == (off_t)sizeof bytes, "pwrite or ftruncate moved the offset", round);
    if (close(fd) != 0)
        fail_errno("close");

    char from[512];
    strcpy(from, path_of("draft.tmp"));
    if (rename(from, path_of("final.tmp")) != 0)
        fail_errno("rename");
    expect(stat(from, &status) != 0 && errno == ENOENT, "the renamed file is still there", round);
    expect(stat(path_of("final.tmp"), &status) == 0 && S_ISREG(status.st_mode), "the new name is missing", round);
    expect(status.st_size == (off_t)sizeof found, "the new name has a wrong size", round);

    const int again = open_file("final.tmp", O_RDONLY);
    read_all(again, found, sizeof found);
    expect(read(again, found, 1) == 0, "there is more after the end", round);
    expect(memcmp(found, bytes, (size_t)cut) == 0, "the beginning changed", round);
    for (size_t index = (size_t)cut; index < sizeof found - 3; index++)
        expect(found[index] == 0, "the extended part is not zero", round);
    expect(memcmp(found + sizeof found - 3, "END", 3) == 0, "the end changed", round);
    close(again);
    if (unlink(path_of("final.tmp")) != 0)
        fail_errno("unlink");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Prints the directory's entries in order of their names: a host may list them in any order. */
static void list_directory(void)
{
    char names[16][64];
    size_t count = 0;
    DIR *listing = opendir(directory);
    if (listing == NULL)
        fail_errno("opendir");
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (count == 16)
            fail(EXIT_USAGE, "files: %s is not empty", directory);
        snprintf(names[count++], sizeof names[0], "%s", entry->d_name);
    }
    closedir(listing);
    qsort(names, count, sizeof names[0], by_name);
    for (size_t index = 0; index < count; index++) {
        struct stat status;
        if (stat(path_of(names[index]), &status) != 0)
            fail_errno("stat");
        if (S_ISDIR(status.st_mode))
            say("  %s/", names[index]);
        else
            say("  %s %lld", names[index], (long long)status.st_size);
    }
}

static void print_file_hash(const char *name)
{
    char bytes[1000];
    uint64_t hash = 0;
    ssize_t length;
    const int fd = open_file(name, O_RDONLY);
    while ((length = read(fd, bytes, sizeof bytes)) > 0)
        for (ssize_t index = 0; index < length; index++)
            hash = mix64(hash ^ (uint8_t)bytes[index]);
    if (length < 0)
        fail_errno("read");
    close(fd);
    say("%s: hash %016llx", name, (unsigned long long)hash);
}

int main(int argc, char **argv)
{
    static const char usage[] = "usage: files DIRECTORY [--rounds N] [--work STEPS]";
    uint64_t rounds = 300, work = 4000000;
    const char *const names[] = {"rounds", "work"};
    uint64_t *const values[] = {&rounds, &work};
    if (argc < 2 || PARSE_OPTIONS(argc - 1, argv + 1, names, values) != argc - 1)
        fail(EXIT_USAGE, usage);
    directory = argv[1];

    log_fd = open_file("log.txt", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND);
    ring_fd = open_file("ring.dat", O_RDWR | O_CREAT | O_TRUNC);
    reader_fd = open_file("ring.dat", O_RDONLY);
    if (mkdir(path_of("parts"), 0755) != 0 && errno != EEXIST)
        fail_errno("mkdir");

    uint64_t hash = 0;
    for (uint64_t round = 1; round <= rounds; round++) {
        append_log(round);
        turn_ring(round);
        shape_file(round);
        for (uint64_t step = 0; step < work; step++)
            hash = mix64(hash ^ step);
        if (round % 10 == 0)
            say("round %llu: log at %lld, writer at %lld, reader at %lld", (unsigned long long)round,
                (long long)lseek(log_fd, 0, SEEK_CUR), (long long)lseek(ring_fd, 0, SEEK_CUR),
                (long long)lseek(reader_fd, 0, SEEK_CUR));
        if (round % 100 == 0)
            list_directory();
    }
    close(log_fd);
    close(ring_fd);
    close(reader_fd);
    if (rmdir(path_of("parts")) != 0)
        fail_errno("rmdir");
    print_file_hash("log.txt");
    print_file_hash("ring.dat");
    say("files: all checks passed, work %016llx", (unsigned long long)hash);
    return 0;
}
