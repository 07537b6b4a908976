/*
 * Drive writer: uses a file of fixed size as its database while it writes. Operation n writes record n to a
 * pseudo-random place and reads another one back. All that it leaves in the file follows from the number of operations,
 * so that the file can be computed elsewhere: see drive-reference.ts.
 *
 *   drive FILE [--operations N] [--sync N] [--every N] [--pause US] [--create BYTES]
 *
 * The first record is the header: how many operations were on the disk when it was last synced, which is each --sync
 * operations. A file that has a header is checked, and goes on behind it until it has had N operations in all.
 * --every N prints a line each N operations, --pause sleeps so many microseconds after each. --create makes the file if
 * it is missing. Exit status 3 when a record is not what it should be.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"

#define RECORD_BYTES 1000u /* no power of two: records lie across the borders of all kinds of blocks */
#define RECORD_WORDS (RECORD_BYTES / sizeof(uint32_t))
#define HEADER_MAGIC 0x56495244u /* "DRIV" */
#define RECORD_MAGIC 0x44524352u /* "RCRD" */

struct record {
    uint32_t magic;
    uint32_t sequence;
    uint32_t place;
    uint32_t payload[RECORD_WORDS - 4];
    uint32_t checksum;
};

_Static_assert(sizeof(struct record) == RECORD_BYTES, "a record has no padding");

static const char *path;
static int writer;
static int reader; /* the same file, with an offset of its own */
static uint32_t places;
static uint32_t *written; /* by place: the last operation that wrote there, 0 for none */

__attribute__((noreturn)) static void fail_errno(const char *what)
{
    fail(EXIT_BROKEN, "drive: %s: %s failed: %s", path, what, strerror(errno));
}

/* The finalizer of MurmurHash3. */
static uint32_t mix32(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x85ebca6bu;
    x ^= x >> 13;
    x *= 0xc2b2ae35u;
    return x ^ (x >> 16);
}

static uint32_t place_of(uint32_t sequence)
{
    return 1 + mix32(sequence) % (places - 1);
}

static uint32_t checksum_of(const struct record *record)
{
    const uint32_t *words = (const uint32_t *)record;
    uint32_t sum = 0;
    for (size_t index = 0; index < RECORD_WORDS - 1; index++)
        sum = mix32(sum ^ words[index]);
    return sum;
}

static void make_record(struct record *record, uint32_t magic, uint32_t sequence, uint32_t place)
{
    *record = (struct record){.magic = magic, .sequence = sequence, .place = place};
    for (uint32_t index = 0; index < RECORD_WORDS - 4; index++)
        record->payload[index] = mix32(sequence * 0x9e3779b9u + index);
    record->checksum = checksum_of(record);
}

/* Records are written in turn at a given place and at the descriptor's own offset. */
static void write_record(const struct record *record)
{
    const off_t at = (off_t)record->place * RECORD_BYTES;
    if (record->sequence % 2 == 0) {
        if (pwrite(writer, record, sizeof *record, at) != (ssize_t)sizeof *record)
            fail_errno("pwrite");
        return;
    }
    if (lseek(writer, at, SEEK_SET) != at)
        fail_errno("lseek");
    if (write(writer, record, sizeof *record) != (ssize_t)sizeof *record)
        fail_errno("write");
}

/* Behind the last record that was read, unless another place is named. */
static void read_record(struct record *record, uint32_t place)
{
    const off_t at = (off_t)place * RECORD_BYTES;
    if (lseek(reader, 0, SEEK_CUR) != at && lseek(reader, at, SEEK_SET) != at)
        fail_errno("lseek");
    if (read(reader, record, sizeof *record) != (ssize_t)sizeof *record)
        fail_errno("read");
}

static int is_intact(const struct record *found, uint32_t magic, uint32_t place)
{
    struct record expected;
    make_record(&expected, magic, found->sequence, place);
    return memcmp(found, &expected, sizeof expected) == 0;
}

static void write_header(uint32_t sequence)
{
    struct record header;
    if (fsync(writer) != 0)
        fail_errno("fsync");
    make_record(&header, HEADER_MAGIC, sequence, 0);
    write_record(&header);
    if (fdatasync(writer) != 0)
        fail_errno("fdatasync");
}

static void check_place(uint32_t place)
{
    struct record found;
    if (written[place] == 0)
        return;
    read_record(&found, place);
    if (!is_intact(&found, RECORD_MAGIC, place) || found.sequence != written[place])
        fail(EXIT_BROKEN, "drive: place %u holds operation %u instead of %u", place, found.sequence, written[place]);
}

static void check_all(void)
{
    for (uint32_t place = 1; place < places; place++)
        check_place(place);
}

/*
 * What the header says is on the disk has to be there. A place may also hold a record of a later operation, written when
 * the program was killed before it had synced it.
 * Returns the number of operations that the file has had.
 */
static uint32_t check_before(void)
{
    struct record found;
    read_record(&found, 0);
    if (found.magic != HEADER_MAGIC)
        return 0;
    if (!is_intact(&found, HEADER_MAGIC, 0))
        fail(EXIT_BROKEN, "drive: the header is damaged");
    const uint32_t synced = found.sequence;
    for (uint32_t sequence = 1; sequence <= synced; sequence++)
        written[place_of(sequence)] = sequence;
    for (uint32_t place = 1; place < places; place++) {
        if (written[place] == 0)
            continue;
        read_record(&found, place);
        if (found.sequence < written[place] || place_of(found.sequence) != place || !is_intact(&found, RECORD_MAGIC, place))
            fail(EXIT_BROKEN, "drive: place %u lost operation %u", place, written[place]);
        written[place] = found.sequence;
    }
    return synced;
}

static void open_drive(uint64_t create)
{
    writer = open(path, O_RDWR | (create == 0 ? 0 : O_CREAT), 0644);
    if (writer < 0)
        fail(EXIT_USAGE, "drive: %s cannot be opened: %s", path, strerror(errno));
    struct stat status;
    if (fstat(writer, &status) != 0)
        fail_errno("fstat");
    if (status.st_size == 0 && create != 0 && (ftruncate(writer, (off_t)create) != 0 || fstat(writer, &status) != 0))
        fail_errno("ftruncate");
    const uint64_t count = (uint64_t)status.st_size / RECORD_BYTES;
    if (count < 2 || count > UINT32_MAX / sizeof *written)
        fail(EXIT_USAGE, "drive: %s has %lld bytes, which is too few or too many", path, (long long)status.st_size);
    places = (uint32_t)count;
    written = calloc(places, sizeof *written);
    if (written == NULL)
        fail(EXIT_BROKEN, "drive: no memory for %u places", places);
    reader = open(path, O_RDONLY);
    if (reader < 0)
        fail_errno("open");
}

int main(int argc, char **argv)
{
    static const char usage[] =
        "usage: drive FILE [--operations N] [--sync N] [--every N] [--pause US] [--create BYTES]";
    uint64_t operations = 4000, sync = 100, every = 200, pause = 0, create = 0;
    const char *const names[] = {"operations", "sync", "every", "pause", "create"};
    uint64_t *const values[] = {&operations, &sync, &every, &pause, &create};
    if (argc < 2 || PARSE_OPTIONS(argc - 1, argv + 1, names, values) != argc - 1)
        fail(EXIT_USAGE, usage);
    if (operations == 0 || operations >= UINT32_MAX || sync == 0 || every == 0)
        fail(EXIT_USAGE, "drive: --operations, --sync and --every need at least 1, --operations at most 4294967294");
    path = argv[1];
    open_drive(create);

    const uint32_t before = check_before();
    say("drive: %u places, %u operations before", places, before);
    if (before > operations)
        fail(EXIT_USAGE, "drive: %s has had more than %llu operations", path, (unsigned long long)operations);
    for (uint32_t sequence = before + 1; sequence <= operations; sequence++) {
        struct record record;
        make_record(&record, RECORD_MAGIC, sequence, place_of(sequence));
        write_record(&record);
        written[record.place] = sequence;
        check_place(place_of(mix32(sequence)));
        if (sequence % sync == 0)
            write_header(sequence);
        if (sequence % every == 0)
            say("drive: operation %u at place %u, checksum %08x", sequence, record.place, record.checksum);
        if (pause != 0)
            sleep_ns(pause * 1000u);
    }
    write_header((uint32_t)operations);
    check_all();
    say("drive: %u operations, all records intact", (uint32_t)operations);
    return 0;
}
