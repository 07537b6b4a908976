/*
 * Deep recursion. Descends DEPTH frames through direct, mutual and indirect calls, works and prints
 * at the deepest level, and works and prints on the way back. Every frame keeps values of all types
 * alive across its call, and a record on the stack in memory whose address the callee knows.
 *
 *   recursion [--depth FRAMES] [--rounds N] [--work STEPS]
 */
#include "guest.h"

struct record {
    const struct record *caller;
    uint64_t seal;
    uint32_t level;
};

struct result {
    uint64_t hash;
    double sum;
};

typedef void descend_fn(uint32_t level, float scale, const struct record *caller, struct result *result);
typedef uint64_t finish_fn(uint64_t hash, uint32_t level);

static descend_fn descend_direct, descend_ping, descend_pong, descend_indirect;
static uint64_t finish_xor(uint64_t hash, uint32_t level) { return hash ^ mix64(level); }
static uint64_t finish_add(uint64_t hash, uint32_t level) { return hash + mix64(~(uint64_t)level); }
static uint64_t finish_rotate(uint64_t hash, uint32_t level) { return (hash << 7 | hash >> 57) ^ level; }

/* volatile: the calls through these tables must stay indirect. */
static descend_fn *volatile descend_table[] = {descend_direct, descend_ping, descend_indirect};
static finish_fn *volatile finish_table[] = {finish_xor, finish_add, finish_rotate};

static uint64_t depth = 10000, rounds = 6, work = 3000000;

static uint64_t seal_of(uint32_t level, const struct record *caller)
{
    return mix64(((uint64_t)level << 32) | (uint32_t)(uintptr_t)caller);
}

static void check_record(const struct record *record)
{
    if (record->seal != seal_of(record->level, record->caller))
        fail(EXIT_BROKEN, "recursion: the record of level %u is damaged", (unsigned)record->level);
}

__attribute__((noinline)) static void work_at_bottom(const struct record *deepest, struct result *result)
{
    uint64_t frames = 0;
    for (const struct record *record = deepest; record != NULL; record = record->caller) {
        check_record(record);
        frames++;
    }
    say("bottom: %llu frames", (unsigned long long)frames);
    for (uint32_t part = 1; part <= 10; part++) {
        for (uint64_t step = 0; step < work; step++)
            result->hash = mix64(result->hash ^ step);
        say("bottom: part %u of 10, hash %016llx", (unsigned)part, (unsigned long long)result->hash);
    }
}

/* The part common to all ways down; inlined into each, so that each is a frame of its own. */
__attribute__((always_inline)) static inline void descend(descend_fn *next, uint32_t salt, uint32_t level, float scale,
                                                          const struct record *caller, struct result *result)
{
    const struct record record = {.caller = caller, .seal = seal_of(level, caller), .level = level};
    const uint64_t kept = mix64(result->hash + salt);
    const double weight = 1.0 / (double)(level + salt);
    result->hash ^= kept >> 1;
    if (level < depth)
        next(level + 1, scale * 0.999f, &record, result);
    else
        work_at_bottom(&record, result);
    check_record(&record);
    /* Some work on the way back, so that most moments of the run find the stack half unwound. */
    for (uint64_t step = 0; step < work / 1000; step++)
        result->hash = mix64(result->hash + step);
    result->hash = finish_table[level % 3](result->hash ^ kept, level);
    result->sum += weight * (double)scale;
    if (level % 500 == 0)
        say("level %u on the way back: hash %016llx, sum %.12f", (unsigned)level, (unsigned long long)result->hash,
            result->sum);
}

__attribute__((noinline)) static void descend_direct(uint32_t level, float scale, const struct record *caller,
                                                     struct result *result)
{
    descend(level % 7 == 0 ? descend_table[level % 3] : descend_direct, 1, level, scale, caller, result);
}

__attribute__((noinline)) static void descend_ping(uint32_t level, float scale, const struct record *caller,
                                                   struct result *result)
{
    descend(descend_pong, 2, level, scale, caller, result);
}

__attribute__((noinline)) static void descend_pong(uint32_t level, float scale, const struct record *caller,
                                                   struct result *result)
{
    descend(level % 11 == 0 ? descend_indirect : descend_ping, 3, level, scale, caller, result);
}

__attribute__((noinline)) static void descend_indirect(uint32_t level, float scale, const struct record *caller,
                                                       struct result *result)
{
    descend(descend_table[(level / 13) % 3], 5, level, scale, caller, result);
}

int main(int argc, char **argv)
{
    const char *const names[] = {"depth", "rounds", "work"};
    uint64_t *const values[] = {&depth, &rounds, &work};
    if (PARSE_OPTIONS(argc, argv, names, values) != argc || depth == 0 || depth > UINT32_MAX)
        fail(EXIT_USAGE, "usage: recursion [--depth FRAMES] [--rounds N] [--work STEPS]");
    struct result result = {.hash = depth, .sum = 0.0};
    for (uint64_t round = 1; round <= rounds; round++) {
        descend_table[round % 3](1, 1.0f, NULL, &result);
        say("round %llu: hash %016llx, sum %.12f", (unsigned long long)round, (unsigned long long)result.hash,
            result.sum);
    }
    return 0;
}
