/*
 * The guest of the fault harness: counts, and leaves a trace of each number in every place that a guest can write to, so
 * that a number which was lost, or which two guests have counted, can be seen there afterwards.
 *
 *   counted [--pages N] [--dirty N] [--pause US] [--log 1] [--drive 1]
 *
 * For each number it writes to --dirty pages of its --pages, changes one record of the drive /drives/db, appends a line to
 * /data/log, and prints a line, in this order; then it sleeps for --pause microseconds. It never ends by itself. What it
 * finds in memory and on the drive has to be what the number before has left there: otherwise exit status 3.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../examples/guests/src/pages.h"

#define WORDS_PER_PAGE (PAGE_BYTES / sizeof(uint32_t))
#define PLACES 1024u /* records on the drive, spread over all of it */
#define RECORD_MAGIC 0x434e5444u /* "CNTD" */
#define SYNC_EVERY 64u

struct record {
    uint32_t magic;
    uint32_t number; /* the last one that came here */
    uint32_t visits; /* how many have come here */
    uint32_t check;
};

static uint64_t pages = 64, dirty = 4, pause = 2000, use_log, use_drive;
static uint32_t *memory;
static int log_file = -1;
static int drive = -1;
static off_t stride;

/* Pages are written to in turn. The last word of each holds how often that was. */
static void dirty_page(uint64_t turn)
{
    uint32_t *page = memory + (turn % pages) * WORDS_PER_PAGE;
    const uint32_t before = (uint32_t)(turn / pages);
    if (page[WORDS_PER_PAGE - 1] != before || page[0] != (uint32_t)mix64(before + turn % pages))
        fail(EXIT_BROKEN, "counted: page %llu was written to %u times instead of %u", turn % pages,
             page[WORDS_PER_PAGE - 1], before);
    page[WORDS_PER_PAGE - 1] = before + 1;
    page[0] = (uint32_t)mix64(before + 1 + turn % pages);
}

static void make_memory(void)
{
    memory = (uint32_t *)allocate_pages(pages);
    for (uint64_t page = 0; page < pages; page++) {
        for (size_t word = 1; word < WORDS_PER_PAGE - 1; word++)
            memory[page * WORDS_PER_PAGE + word] = (uint32_t)mix64(page * WORDS_PER_PAGE + word);
        memory[page * WORDS_PER_PAGE] = (uint32_t)mix64(page);
    }
}

static uint32_t check_of(const struct record *record)
{
    return (uint32_t)mix64(((uint64_t)record->number << 32) | record->visits);
}

/* Numbers come to the places in turn, so what is in one follows from the number that comes next. */
static void change_record(uint32_t number)
{
    const off_t at = (off_t)(number % PLACES) * stride;
    const uint32_t before = number > PLACES ? number - PLACES : 0;
    const uint32_t visits = (number - 1) / PLACES;
    struct record record;
    if (pread(drive, &record, sizeof record, at) != (ssize_t)sizeof record)
        fail(EXIT_BROKEN, "counted: the drive cannot be read: %s", strerror(errno));
    if (record.number != before || record.visits != visits || (before != 0 && record.check != check_of(&record)))
        fail(EXIT_BROKEN, "counted: place %u of the drive holds %u after %u visits instead of %u after %u",
             number % PLACES, record.number, record.visits, before, visits);
    record = (struct record){.magic = RECORD_MAGIC, .number = number, .visits = visits + 1};
    record.check = check_of(&record);
    if (pwrite(drive, &record, sizeof record, at) != (ssize_t)sizeof record)
        fail(EXIT_BROKEN, "counted: the drive cannot be written: %s", strerror(errno));
    if (number % SYNC_EVERY == 0 && fdatasync(drive) != 0)
        fail(EXIT_BROKEN, "counted: the drive cannot be synced: %s", strerror(errno));
}

static void open_files(void)
{
    struct stat status;
    if (use_log != 0) {
        log_file = open("/data/log", O_WRONLY | O_APPEND | O_CREAT, 0644);
        if (log_file < 0)
            fail(EXIT_USAGE, "counted: /data/log cannot be opened: %s", strerror(errno));
    }
    if (use_drive == 0)
        return;
    drive = open("/drives/db", O_RDWR);
    if (drive < 0 || fstat(drive, &status) != 0)
        fail(EXIT_USAGE, "counted: /drives/db cannot be opened: %s", strerror(errno));
    stride = status.st_size / PLACES;
    if (stride < (off_t)sizeof(struct record))
        fail(EXIT_USAGE, "counted: the drive is too small for %u records", PLACES);
}

static void append_to_log(uint32_t number)
{
    char line[16];
    const int length = snprintf(line, sizeof line, "%u\n", number);
    if (write(log_file, line, (size_t)length) != length)
        fail(EXIT_BROKEN, "counted: the log cannot be written: %s", strerror(errno));
}

int main(int argc, char **argv)
{
    const char *const names[] = {"pages", "dirty", "pause", "log", "drive"};
    uint64_t *const values[] = {&pages, &dirty, &pause, &use_log, &use_drive};
    if (PARSE_OPTIONS(argc, argv, names, values) != argc)
        fail(EXIT_USAGE, "usage: counted [--pages N] [--dirty N] [--pause US] [--log 1] [--drive 1]");
    open_files();
    make_memory();
    uint64_t turn = 0;
    for (uint32_t number = 1;; number++) {
        for (uint64_t count = 0; count < dirty; count++)
            dirty_page(turn++);
        if (use_drive != 0)
            change_record(number);
        if (use_log != 0)
            append_to_log(number);
        say("%u", number);
        if (pause != 0)
            sleep_ns(pause * 1000u);
    }
}
