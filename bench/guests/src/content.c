/*
 * Fills its memory with what a file holds, says so, and sleeps for ever.
 *
 *   content FILE MIB     MIB of the file's bytes; `-` instead of a file writes zeros into each page
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PIECE (1u << 20)

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    const size_t bytes = (size_t)strtoul(argv[2], NULL, 10) << 20;
    /* The allocator has no more than 2 GiB in one piece. */
    const size_t pages = __builtin_wasm_memory_grow(0, (bytes + 65535) >> 16);
    if (pages == (size_t)-1)
        return 3;
    uint8_t *const memory = (uint8_t *)(pages << 16);
    if (strcmp(argv[1], "-") == 0) {
        for (size_t at = 0; at < bytes; at += 4096)
            ((volatile uint8_t *)memory)[at] = 0;
    } else {
        const int file = open(argv[1], O_RDONLY);
        if (file < 0)
            return 4;
        for (size_t at = 0; at < bytes;) {
            const size_t left = bytes - at;
            const ssize_t got = read(file, memory + at, left < PIECE ? left : PIECE);
            if (got <= 0)
                return 5;
            at += (size_t)got;
        }
        close(file);
    }
    printf("holds %zu bytes\n", bytes);
    fflush(stdout);
    const struct timespec hour = {3600, 0};
    for (;;)
        nanosleep(&hour, NULL);
}
