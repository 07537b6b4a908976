/*
 * Sleeps in every way WASI offers, and prints how many whole seconds each sleep took by the
 * monotonic clock. Only rounded times are printed, so the output does not depend on the machine.
 *
 *   sleeper [--seconds LONG] [--deadline SECONDS] [--stdin SECONDS]
 *
 * --seconds sets the longest sleep. --deadline adds one to an absolute time; not every host can do
 * that (node:wasi of Node 24 never wakes up). --stdin SECONDS instead polls the console with that timeout,
 * over and over, until its end: it prints each line it reads and how often the poll timed out
 * first. That count depends on when lines arrive.
 */
#include <poll.h>
#include <unistd.h>

#include "guest.h"

static uint64_t started;

static void before(const char *what)
{
    say("%s: going to sleep", what);
    started = monotonic_ns();
}

static void after(const char *what)
{
    const uint64_t elapsed = monotonic_ns() - started;
    say("%s: slept %llu s", what, (unsigned long long)((elapsed + 500000000u) / 1000000000u));
}

static void sleep_to_deadline(uint64_t seconds)
{
    before("clock_nanosleep to a deadline");
    const uint64_t deadline = started + seconds * 1000000000u;
    const struct timespec until = {.tv_sec = (time_t)(deadline / 1000000000u), .tv_nsec = (long)(deadline % 1000000000u)};
    if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
        fail(EXIT_BROKEN, "sleeper: clock_nanosleep failed");
    after("clock_nanosleep to a deadline");
    if (monotonic_ns() < deadline)
        fail(EXIT_BROKEN, "sleeper: woke before the deadline");
}

static void sleep_in_all_ways(unsigned long_seconds)
{
    before("nanosleep in 5 pieces");
    for (int piece = 0; piece < 5; piece++)
        sleep_ns(200000000u);
    after("nanosleep in 5 pieces");

    before("poll without descriptors");
    if (poll(NULL, 0, 1000) != 0)
        fail(EXIT_BROKEN, "sleeper: poll failed: %s", strerror(errno));
    after("poll without descriptors");

    before("sleep");
    if (sleep(long_seconds) != 0)
        fail(EXIT_BROKEN, "sleeper: sleep was cut short");
    after("sleep");
}

static void watch_stdin(int timeout_seconds)
{
    char text[256];
    int timeouts = 0;
    say("waiting for input, %d s at a time", timeout_seconds);
    for (;;) {
        struct pollfd console = {.fd = STDIN_FILENO, .events = POLLIN};
        const int ready = poll(&console, 1, timeout_seconds * 1000);
        if (ready < 0)
            fail(EXIT_BROKEN, "sleeper: poll failed: %s", strerror(errno));
        if (ready == 0) {
            timeouts++;
            continue;
        }
        const ssize_t length = read(STDIN_FILENO, text, sizeof text - 1);
        if (length < 0)
            fail(EXIT_BROKEN, "sleeper: read failed: %s", strerror(errno));
        if (length == 0)
            break;
        text[length] = '\0';
        printf("after %d timeouts: %s", timeouts, text);
        fflush(stdout);
        timeouts = 0;
    }
    say("end of input after %d timeouts", timeouts);
}

int main(int argc, char **argv)
{
    uint64_t seconds = 2, deadline = 0, stdin_seconds = 0;
    const char *const names[] = {"seconds", "deadline", "stdin"};
    uint64_t *const values[] = {&seconds, &deadline, &stdin_seconds};
    if (PARSE_OPTIONS(argc, argv, names, values) != argc || seconds > 86400 || deadline > 86400 || stdin_seconds > 86400)
        fail(EXIT_USAGE, "usage: sleeper [--seconds LONG] [--deadline SECONDS] [--stdin SECONDS]");
    if (stdin_seconds != 0)
        watch_stdin((int)stdin_seconds);
    else
        sleep_in_all_ways((unsigned)seconds);
    if (deadline != 0)
        sleep_to_deadline(deadline);
    say("awake");
    return 0;
}
