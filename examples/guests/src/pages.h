/* Page-aligned memory, and holding a rate at which pages are dirtied. */
#ifndef PAGES_H
#define PAGES_H

#include "guest.h"

static inline uint8_t *allocate_pages(uint64_t pages)
{
    if (pages == 0 || pages > UINT32_MAX / PAGE_BYTES)
        fail(EXIT_USAGE, "%llu pages do not fit a 32-bit memory", (unsigned long long)pages);
    uint8_t *memory = aligned_alloc(PAGE_BYTES, (size_t)pages * PAGE_BYTES);
    if (memory == NULL)
        fail(EXIT_BROKEN, "no memory for %llu pages", (unsigned long long)pages);
    memset(memory, 0, (size_t)pages * PAGE_BYTES);
    return memory;
}

struct pace {
    uint64_t ns_per_page; /* 0: as fast as possible */
    uint64_t due;         /* monotonic time at which the next page may be dirtied */
};

#define RATE_LIMIT 1000 /* MiB/s; reading the clock for each page takes too long for more */

static inline struct pace pace_start(uint64_t mib_per_second)
{
    if (mib_per_second > RATE_LIMIT)
        fail(EXIT_USAGE, "a rate above %d MiB/s cannot be held; 0 is as fast as possible", RATE_LIMIT);
    const struct pace pace = {
        .ns_per_page = mib_per_second == 0 ? 0 : 1000000000u / (mib_per_second * PAGES_PER_MIB),
        .due = monotonic_ns(),
    };
    return pace;
}

/*
 * How far the guest is ahead of its rate, in ns; 0 when the next page is due.
 * A guest that fell far behind (stopped, moved) goes on from here: a burst would distort the rate.
 */
static inline uint64_t pace_ahead(struct pace *pace)
{
    const uint64_t now = monotonic_ns();
    if (pace->due > now)
        return pace->due - now;
    if (now - pace->due > 100000000u)
        pace->due = now;
    return 0;
}

#endif
