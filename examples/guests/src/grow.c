/*
 * Grows its memory in steps while it fills and checks it, with bulk memory operations and with
 * unaligned stores across page boundaries.
 *
 *   grow [--steps N] [--mib MIB_PER_STEP] [--work STEPS]
 */
#include "guest.h"

#define WASM_PAGE_BYTES 65536u
#define BLOCK_LIMIT 4096

static uint8_t *blocks[BLOCK_LIMIT];
static size_t block_bytes;

/* Every second block comes from malloc, the others from memory.grow itself. */
static uint8_t *new_block(uint64_t step)
{
    if (step % 2 == 0) {
        uint8_t *block = malloc(block_bytes + PAGE_BYTES);
        if (block == NULL)
            fail(EXIT_BROKEN, "grow: no memory in step %llu", (unsigned long long)step);
        return block + (PAGE_BYTES - (uintptr_t)block % PAGE_BYTES);
    }
    const size_t old_pages = __builtin_wasm_memory_grow(0, block_bytes / WASM_PAGE_BYTES);
    if (old_pages == SIZE_MAX)
        fail(EXIT_BROKEN, "grow: memory.grow failed in step %llu", (unsigned long long)step);
    return (uint8_t *)(old_pages * WASM_PAGE_BYTES);
}

static uint64_t checksum(const uint8_t *bytes, size_t length)
{
    uint64_t hash = length;
    for (size_t index = 0; index + 8 <= length; index += 8) {
        uint64_t word;
        memcpy(&word, bytes + index, sizeof word);
        hash = (hash ^ word) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    return hash;
}

/* memory.fill, memory.copy forward, and memory.copy between overlapping ranges, at odd addresses. */
static void fill_in_bulk(uint8_t *block, uint64_t step)
{
    const size_t half = block_bytes / 2;
    memset(block, (int)(step * 37 + 1), block_bytes);
    for (size_t offset = 0; offset < half; offset += 3 * PAGE_BYTES + 5)
        memset(block + offset, (int)(offset + step), (size_t)(PAGE_BYTES + step % 100));
    memcpy(block + half + 3, block + 1, half - 3 - step % 64);
    memmove(block + 7, block, half);
    memmove(block + half, block + half + 9, half - 9);
}

/* memory.grow must leave zeros; fresh blocks of malloc come from memory.grow as well. */
static void check_zero(const uint8_t *block, uint64_t step)
{
    for (size_t index = 0; index < block_bytes; index += 512)
        if (block[index] != 0)
            fail(EXIT_BROKEN, "grow: new memory of step %llu is not zero", (unsigned long long)step);
}

/* The compiler emits plain unaligned i32.store and i64.store for these. */
struct __attribute__((packed)) loose32 {
    uint32_t value;
};
struct __attribute__((packed)) loose64 {
    uint64_t value;
};

/*
 * Stores words across the boundary of each page, at all distances at which they cross it, and reads
 * them back after the whole block has been written.
 */
static void cross_pages(uint8_t *block, uint64_t step)
{
    for (size_t page = 1; page < block_bytes / PAGE_BYTES; page++) {
        volatile uint8_t *const boundary = block + page * PAGE_BYTES;
        const size_t far = 1 + page % 7, near = 1 + page % 3;
        ((volatile struct loose64 *)(boundary - far))->value = mix64(page + step);
        ((volatile struct loose32 *)(boundary + 100 - near))->value = (uint32_t)page;
        if (page % 2 == 0)
            ((volatile struct loose32 *)(boundary - near))->value = (uint32_t)mix64(page ^ step);
    }
    for (size_t page = 1; page < block_bytes / PAGE_BYTES; page++) {
        const uint8_t *const boundary = block + page * PAGE_BYTES;
        const size_t far = 1 + page % 7, near = 1 + page % 3;
        uint8_t expected[16], *const middle = expected + 8;
        const uint64_t wide = mix64(page + step);
        const uint32_t narrow = (uint32_t)mix64(page ^ step);
        memcpy(expected, boundary - 8, sizeof expected);
        memcpy(middle - far, &wide, sizeof wide);
        if (page % 2 == 0)
            memcpy(middle - near, &narrow, sizeof narrow);
        if (memcmp(expected, boundary - 8, sizeof expected) != 0)
            fail(EXIT_BROKEN, "grow: a store across the start of page %u of step %llu was lost", (unsigned)page,
                 (unsigned long long)step);
    }
}

int main(int argc, char **argv)
{
    uint64_t steps = 40, mib = 1, work = 8000000;
    const char *const names[] = {"steps", "mib", "work"};
    uint64_t *const values[] = {&steps, &mib, &work};
    if (PARSE_OPTIONS(argc, argv, names, values) != argc || steps > BLOCK_LIMIT || mib == 0 || mib > 1024)
        fail(EXIT_USAGE, "usage: grow [--steps N] [--mib MIB_PER_STEP] [--work STEPS]");
    block_bytes = (size_t)mib * MIB_BYTES;
    static uint64_t sums[BLOCK_LIMIT];
    uint64_t hash = 0;
    for (uint64_t step = 0; step < steps; step++) {
        blocks[step] = new_block(step);
        check_zero(blocks[step], step);
        fill_in_bulk(blocks[step], step);
        cross_pages(blocks[step], step);
        sums[step] = checksum(blocks[step], block_bytes);
        for (uint64_t turn = 0; turn < work; turn++)
            hash = mix64(hash ^ turn);
        /* An old block each time: what was written long ago must still be there. */
        const uint64_t old = mix64(step) % (step + 1);
        if (checksum(blocks[old], block_bytes) != sums[old])
            fail(EXIT_BROKEN, "grow: block %llu changed by step %llu", (unsigned long long)old, (unsigned long long)step);
        say("step %llu: %u pages, checksum %016llx, work %016llx", (unsigned long long)(step + 1),
            (unsigned)__builtin_wasm_memory_size(0), (unsigned long long)sums[step], (unsigned long long)hash);
    }
    for (uint64_t step = 0; step < steps; step++)
        if (checksum(blocks[step], block_bytes) != sums[step])
            fail(EXIT_BROKEN, "grow: block %llu changed", (unsigned long long)step);
    say("grow: all blocks intact");
    return 0;
}
