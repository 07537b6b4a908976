/*
 * Progress counter. Computes without a pause, one unit of work after the other, and shows the number
 * of units in a file about 20 times a second, so that the guest's speed can be watched from outside.
 * Meanwhile it dirties memory at a given rate.
 *
 *   counter FILE [--mib N] [--rate MIB_PER_S] [--units N] [--seconds N]
 *
 * The file always holds 20 digits and a line feed, rewritten in place. --rate 0 dirties
 * a page with each unit of work, --mib 0 dirties nothing.
 * --units N ends after N units, --seconds N after that time; 0 is for ever. The standard output is
 * deterministic. Exit status 3 when the memory is damaged.
 */
#include <fcntl.h>
#include <unistd.h>

#include "pages.h"

#define STEPS_PER_UNIT 4000
#define REPORT_NS 50000000u

static uint8_t *memory;
static uint64_t pages;
static uint64_t page_writes;

static uint64_t *page_counter(uint64_t page)
{
    return (uint64_t *)(memory + page * PAGE_BYTES) + page % (PAGE_BYTES / sizeof(uint64_t));
}

static void dirty_next_page(void)
{
    ++*page_counter(page_writes++ % pages);
}

static void dirty_pages_due(struct pace *pace)
{
    if (pace->ns_per_page == 0) {
        dirty_next_page();
        return;
    }
    while (pace_ahead(pace) == 0) {
        dirty_next_page();
        pace->due += pace->ns_per_page;
    }
}

static void check_pages(void)
{
    for (uint64_t page = 0; page < pages; page++) {
        const uint64_t expected = page_writes / pages + (page < page_writes % pages);
        if (*page_counter(page) != expected)
            fail(EXIT_BROKEN, "counter: page %llu holds %llu instead of %llu", (unsigned long long)page,
                 (unsigned long long)*page_counter(page), (unsigned long long)expected);
    }
}

static void report(int file, uint64_t units)
{
    char line[22];
    const int length = snprintf(line, sizeof line, "%020llu\n", (unsigned long long)units);
    if (pwrite(file, line, (size_t)length, 0) != length)
        fail(EXIT_BROKEN, "counter: the file cannot be written: %s", strerror(errno));
}

static uint64_t do_unit(uint64_t hash)
{
    for (uint32_t step = 0; step < STEPS_PER_UNIT; step++)
        hash = mix64(hash ^ step);
    return hash;
}

int main(int argc, char **argv)
{
    static const char usage[] = "usage: counter FILE [--mib N] [--rate MIB_PER_S] [--units N] [--seconds N]";
    uint64_t mib = 16, rate = 20, unit_limit = 0, seconds = 0;
    const char *const names[] = {"mib", "rate", "units", "seconds"};
    uint64_t *const values[] = {&mib, &rate, &unit_limit, &seconds};
    if (argc < 2 || PARSE_OPTIONS(argc - 1, argv + 1, names, values) != argc - 1)
        fail(EXIT_USAGE, usage);
    pages = mib * PAGES_PER_MIB;
    if (pages != 0)
        memory = allocate_pages(pages);
    const int file = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (file < 0)
        fail(EXIT_USAGE, "counter: %s cannot be opened: %s", argv[1], strerror(errno));

    const uint64_t start = monotonic_ns();
    uint64_t next_report = start;
    uint64_t units = 0, hash = 0;
    struct pace pace = pace_start(rate);
    for (;;) {
        const uint64_t now = monotonic_ns();
        if (now >= next_report) {
            report(file, units);
            next_report = now + REPORT_NS;
        }
        if ((unit_limit != 0 && units == unit_limit) || (seconds != 0 && now - start >= seconds * 1000000000u))
            break;
        if (pages != 0)
            dirty_pages_due(&pace);
        hash = do_unit(hash);
        units++;
    }
    report(file, units);
    check_pages();
    if (unit_limit != 0)
        say("counter: %llu units, hash %016llx", (unsigned long long)units, (unsigned long long)hash);
    say("counter: memory intact");
    return 0;
}
