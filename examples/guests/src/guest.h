/* What every C guest here shares: flushed lines, failures, numbers and time. */
#ifndef GUEST_H
#define GUEST_H

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGE_BYTES 4096u
#define MIB_BYTES (1024u * 1024u)
#define PAGES_PER_MIB (MIB_BYTES / PAGE_BYTES)

enum {
    EXIT_USAGE = 2,
    EXIT_BROKEN = 3, /* the guest found its own state damaged */
};

/* Prints one line and flushes it, so that output appears while the guest runs. */
__attribute__((format(printf, 1, 2))) static inline void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

__attribute__((noreturn, format(printf, 2, 3))) static inline void fail(int status, const char *format, ...)
{
    va_list arguments;
    fflush(stdout);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(status);
}

static inline uint64_t parse_number(const char *option, const char *text)
{
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *text == '-')
        fail(EXIT_USAGE, "%s: \"%s\" is not a whole number", option, text);
    return value;
}

/*
 * Reads "--name NUMBER" pairs from argv[1] on. `names` and `values` have `count` entries; values hold the defaults.
 * Returns the index of the first argument that is not an option.
 */
static inline int parse_options(int argc, char **argv, const char *const *names, uint64_t *const *values, int count)
{
    int index = 1;
    while (index < argc && strncmp(argv[index], "--", 2) == 0) {
        int option = 0;
        while (option < count && strcmp(argv[index] + 2, names[option]) != 0)
            option++;
        if (option == count)
            fail(EXIT_USAGE, "unknown option %s", argv[index]);
        if (index + 1 == argc)
            fail(EXIT_USAGE, "%s needs a number", argv[index]);
        *values[option] = parse_number(argv[index], argv[index + 1]);
        index += 2;
    }
    return index;
}

#define PARSE_OPTIONS(argc, argv, names, values) \
    parse_options(argc, argv, names, values, (int)(sizeof(names) / sizeof(names[0])))

static inline uint64_t monotonic_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        fail(EXIT_BROKEN, "the monotonic clock cannot be read: %s", strerror(errno));
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void sleep_ns(uint64_t ns)
{
    const struct timespec pause = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
    if (nanosleep(&pause, NULL) != 0)
        fail(EXIT_BROKEN, "nanosleep failed: %s", strerror(errno));
}

/* One step of a 64-bit mixing function (the finalizer of SplitMix64). */
static inline uint64_t mix64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

#endif
