/*
 * Interactive console program: prompts, reads lines, keeps a running sum and a history.
 * Commands: a whole number adds to the sum; sum; history; undo; work N (N rounds of computing, each
 * answered with a line); quit [STATUS]. Ends at the end of input or at quit, with its status.
 */
#include "guest.h"

#define HISTORY_LIMIT 1000

static int64_t history[HISTORY_LIMIT];
static int entries;
static int64_t sum;

static void prompt(int line)
{
    printf("[%d] sum=%lld> ", line, (long long)sum);
    fflush(stdout);
}

static void add(int64_t value)
{
    if (entries == HISTORY_LIMIT) {
        say("the history is full");
        return;
    }
    history[entries++] = value;
    sum += value;
    say("added %lld, sum is %lld", (long long)value, (long long)sum);
}

static void undo(void)
{
    if (entries == 0) {
        say("nothing to undo");
        return;
    }
    sum -= history[--entries];
    say("took back %lld, sum is %lld", (long long)history[entries], (long long)sum);
}

static void print_history(void)
{
    int64_t total = 0;
    for (int entry = 0; entry < entries; entry++) {
        total += history[entry];
        say("  %d: %lld", entry + 1, (long long)history[entry]);
    }
    if (total != sum)
        fail(EXIT_BROKEN, "console: the history adds up to %lld, not to %lld", (long long)total, (long long)sum);
}

static void do_work(int64_t rounds)
{
    uint64_t hash = (uint64_t)sum;
    for (int64_t round = 1; round <= rounds; round++) {
        for (uint32_t step = 0; step < 10000000; step++)
            hash = mix64(hash ^ step);
        say("work %lld of %lld: %016llx", (long long)round, (long long)rounds, (unsigned long long)hash);
    }
}

/* Answers one line. Returns false when the program is to end with *status. */
static int answer(char *line, int *status)
{
    char *end;
    const int64_t number = strtoll(line, &end, 10);
    if (line[0] == '\0')
        say("(nothing)");
    else if (*end == '\0')
        add(number);
    else if (strcmp(line, "sum") == 0)
        say("sum is %lld", (long long)sum);
    else if (strcmp(line, "history") == 0)
        print_history();
    else if (strcmp(line, "undo") == 0)
        undo();
    else if (strncmp(line, "work ", 5) == 0)
        do_work(strtoll(line + 5, NULL, 10));
    else if (strcmp(line, "quit") == 0 || strncmp(line, "quit ", 5) == 0) {
        *status = (int)strtol(line + 4, NULL, 10);
        return 0;
    } else
        say("unknown command: %s", line);
    return 1;
}

int main(void)
{
    char line[256];
    int status = 0;
    int number = 1;
    for (prompt(number); fgets(line, sizeof line, stdin) != NULL; prompt(++number)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (!answer(line, &status))
            break;
    }
    say("bye after %d entries, sum %lld", entries, (long long)sum);
    return status;
}
