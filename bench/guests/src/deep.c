/* Deep recursion with work at the bottom. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
static uint32_t *a;
static int leaves;
__attribute__((noinline)) static uint64_t rec(int d, uint64_t x) {
  if (d == 0) {
    for (int s = 0; s < leaves; s++) {
      for (int i = 0; i < 5000000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        a[(x >> 20) & 0xffff] += (uint32_t)x;
      }
      printf("leaf %d %016llx\n", s, (unsigned long long)x);
      fflush(stdout);
    }
    return x;
  }
  uint64_t y = rec(d - 1, x + d);
  return y * 31 + d + a[d & 0xffff];
}
int main(int argc, char **argv) {
  int n = argc > 1 ? atoi(argv[1]) : 10000;
  leaves = argc > 2 ? atoi(argv[2]) : 100;
  a = malloc(65536 * 4);
  for (int i = 0; i < 65536; i++)
    a[i] = i * 2654435761u;
  printf("final %016llx\n", (unsigned long long)rec(n, 88172645463325252ULL));
  return 0;
}
