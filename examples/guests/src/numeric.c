/*
 * Numeric kernels with nested loops in few functions.
 *
 *   numeric f64 [--size N] [--rounds K]    matrix product, then a Jacobi iteration
 *   numeric i64 [--size N] [--rounds K]    hash mixing over a table of 64-bit words
 *
 * Built twice: numeric.wasm, and numeric-simd.wasm with 128-bit vectors; both print the same.
 */
#include "guest.h"

static double *grid_of(uint64_t cells)
{
    double *grid = calloc((size_t)cells, sizeof *grid);
    if (grid == NULL)
        fail(EXIT_BROKEN, "numeric: no memory for %llu cells", (unsigned long long)cells);
    return grid;
}

static double checksum(const double *values, uint64_t count)
{
    double sum = 0.0;
    for (uint64_t index = 0; index < count; index++)
        sum += values[index] * (double)(1 + index % 17);
    return sum;
}

static void multiply(uint32_t n, const double *restrict a, const double *restrict b, double *restrict c)
{
    for (uint32_t row = 0; row < n; row++) {
        for (uint32_t column = 0; column < n; column++)
            c[row * n + column] = 0.0;
        for (uint32_t inner = 0; inner < n; inner++) {
            const double factor = a[row * n + inner];
            for (uint32_t column = 0; column < n; column++)
                c[row * n + column] += factor * b[inner * n + column];
        }
    }
}

static void jacobi(uint32_t n, uint32_t iterations, double *restrict grid, double *restrict next)
{
    for (uint32_t iteration = 0; iteration < iterations; iteration++) {
        for (uint32_t row = 1; row + 1 < n; row++)
            for (uint32_t column = 1; column + 1 < n; column++)
                next[row * n + column] = 0.25 * (grid[(row - 1) * n + column] + grid[(row + 1) * n + column] +
                                                 grid[row * n + column - 1] + grid[row * n + column + 1]);
        for (uint32_t row = 1; row + 1 < n; row++)
            for (uint32_t column = 1; column + 1 < n; column++)
                grid[row * n + column] = next[row * n + column];
    }
}

static void run_f64(uint32_t n, uint64_t rounds)
{
    const uint64_t cells = (uint64_t)n * n;
    double *a = grid_of(cells), *b = grid_of(cells), *c = grid_of(cells), *grid = grid_of(cells);
    for (uint64_t index = 0; index < cells; index++) {
        a[index] = (double)(mix64(index) % 2000) / 1000.0 - 1.0;
        b[index] = (double)(mix64(~index) % 2000) / 1000.0 - 1.0;
        grid[index] = index < n ? 100.0 : 0.0;
    }
    for (uint64_t round = 1; round <= rounds; round++) {
        multiply(n, a, b, c);
        const double product = checksum(c, cells);
        jacobi(n, 40, grid, c);
        /* The next product depends on this round: nothing can be computed ahead or left out. */
        for (uint64_t index = 0; index < cells; index++)
            a[index] = 0.5 * a[index] + 0.001 * grid[(index * 31) % cells];
        say("round %llu: product %.12e, heat %.12e", (unsigned long long)round, product, checksum(grid, cells));
    }
}

static void run_i64(uint32_t n, uint64_t rounds)
{
    const uint32_t words = n * n;
    uint64_t *table = malloc(words * sizeof *table);
    if (table == NULL)
        fail(EXIT_BROKEN, "numeric: no memory for %u words", (unsigned)words);
    for (uint32_t index = 0; index < words; index++)
        table[index] = mix64(index);
    uint64_t hash = words;
    for (uint64_t round = 1; round <= rounds; round++) {
        for (uint32_t pass = 0; pass < 100; pass++)
            for (uint32_t index = 0; index < words; index++) {
                hash = (hash ^ table[index]) * 0xff51afd7ed558ccdu;
                hash = (hash << 23 | hash >> 41) + round;
                table[index] = hash ^ table[(uint32_t)(hash >> 32) % words];
            }
        say("round %llu: hash %016llx", (unsigned long long)round, (unsigned long long)hash);
    }
}

int main(int argc, char **argv)
{
    static const char usage[] = "usage: numeric f64|i64 [--size N] [--rounds K]";
    if (argc < 2)
        fail(EXIT_USAGE, usage);
    uint64_t size = 200, rounds = 160;
    const char *const names[] = {"size", "rounds"};
    uint64_t *const values[] = {&size, &rounds};
    if (PARSE_OPTIONS(argc - 1, argv + 1, names, values) != argc - 1 || size < 3 || size > 4096)
        fail(EXIT_USAGE, usage);
    if (strcmp(argv[1], "f64") == 0)
        run_f64((uint32_t)size, rounds);
    else if (strcmp(argv[1], "i64") == 0)
        run_i64((uint32_t)size, rounds);
    else
        fail(EXIT_USAGE, usage);
    return 0;
}
