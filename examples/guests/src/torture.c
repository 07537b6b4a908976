/*
 * Memory torturer. Sweeps over N MiB and increments the first byte of every page, so that at any
 * moment the bytes fall by one at one place at most: a page that is lost, old or doubled in a
 * migration shows up as a second edge.
 *
 *   torture [--mib N] [--sweeps K] [--rate MIB_PER_S] [--hot PAGES] [--every SWEEPS]
 *
 * --sweeps 0 runs for ever, --rate 0 flat out. --hot adds a set of pages that are written all the
 * time, one with each page of the sweep. Exit status 3 when the pattern is broken.
 */
#include "pages.h"

#define CHECKS_PER_SWEEP 4

static uint8_t *memory;
static uint64_t pages;
static uint64_t *hot;
static uint64_t hot_pages;
static uint64_t hot_writes;

static uint64_t *hot_counter(uint64_t page)
{
    /* A different place in each page, so that a page copied to the wrong place is noticed. */
    return hot + page * (PAGE_BYTES / sizeof *hot) + page % (PAGE_BYTES / sizeof *hot);
}

static void check_hot_pages(void)
{
    for (uint64_t page = 0; page < hot_pages; page++) {
        const uint64_t expected = hot_writes / hot_pages + (page < hot_writes % hot_pages);
        if (*hot_counter(page) != expected)
            fail(EXIT_BROKEN, "torture: hot page %llu holds %llu instead of %llu", (unsigned long long)page,
                 (unsigned long long)*hot_counter(page), (unsigned long long)expected);
    }
}

/* The first `done` pages have been incremented in this sweep, the others not yet. */
static void check_pattern(uint64_t sweep, uint64_t done)
{
    for (uint64_t page = 0; page < pages; page++) {
        const uint8_t expected = (uint8_t)(page < done ? sweep : sweep - 1);
        if (memory[page * PAGE_BYTES] != expected)
            fail(EXIT_BROKEN, "torture: in sweep %llu with %llu pages done, page %llu holds %u instead of %u",
                 (unsigned long long)sweep, (unsigned long long)done, (unsigned long long)page,
                 (unsigned)memory[page * PAGE_BYTES], (unsigned)expected);
    }
    check_hot_pages();
}

static void sweep_pages(uint64_t first, uint64_t end, struct pace *pace)
{
    for (uint64_t page = first; page < end; page++) {
        if (pace->ns_per_page != 0) {
            const uint64_t ahead = pace_ahead(pace);
            if (ahead > 1000000u)
                sleep_ns(ahead);
            pace->due += pace->ns_per_page;
        }
        memory[page * PAGE_BYTES]++;
        if (hot_pages != 0)
            ++*hot_counter(hot_writes++ % hot_pages);
    }
}

int main(int argc, char **argv)
{
    uint64_t mib = 8, sweeps = 20, rate = 64, every = 1;
    const char *const names[] = {"mib", "sweeps", "rate", "hot", "every"};
    uint64_t *const values[] = {&mib, &sweeps, &rate, &hot_pages, &every};
    if (PARSE_OPTIONS(argc, argv, names, values) != argc || every == 0)
        fail(EXIT_USAGE, "usage: torture [--mib N] [--sweeps K] [--rate MIB_PER_S] [--hot PAGES] [--every SWEEPS]");

    pages = mib * PAGES_PER_MIB;
    memory = allocate_pages(pages);
    if (hot_pages != 0)
        hot = (uint64_t *)allocate_pages(hot_pages);
    say("torture: %llu pages, %llu hot", (unsigned long long)pages, (unsigned long long)hot_pages);

    struct pace pace = pace_start(rate);
    for (uint64_t sweep = 1; sweeps == 0 || sweep <= sweeps; sweep++) {
        for (uint64_t part = 0; part < CHECKS_PER_SWEEP; part++) {
            const uint64_t end = pages * (part + 1) / CHECKS_PER_SWEEP;
            sweep_pages(pages * part / CHECKS_PER_SWEEP, end, &pace);
            check_pattern(sweep, end);
        }
        if (sweep % every == 0)
            say("sweep %llu", (unsigned long long)sweep);
    }
    say("torture: pattern intact");
    return 0;
}
