#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
static int cmp(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}
static void isort(uint32_t *a, int l, int r) {
  while (l < r) {
    uint32_t p = a[(l + r) >> 1];
    int i = l, j = r;
    while (i <= j) {
      while (a[i] < p)
        i++;
      while (a[j] > p)
        j--;
      if (i <= j) {
        uint32_t t = a[i];
        a[i] = a[j];
        a[j] = t;
        i++;
        j--;
      }
    }
    if (j - l < r - i) {
      isort(a, l, j);
      l = i;
    } else {
      isort(a, i, r);
      r = j;
    }
  }
}
#define N 1200000
static uint32_t A[N], B[N];
int main(void) {
  uint32_t x = 12345;
  for (int i = 0; i < N; i++) {
    x = x * 1664525u + 1013904223u;
    A[i] = x;
    B[i] = x ^ 0x5bd1e995;
  }
  qsort(A, N, 4, cmp);
  for (int k = 0; k < 4; k++) {
    for (int i = 0; i < N; i++) {
      x = x * 1664525u + 1013904223u;
      B[i] = x;
    }
    isort(B, 0, N - 1);
  }
  uint64_t s = 0;
  for (int i = 0; i < N; i++)
    s = s * 31 + A[i] + B[i];
  printf("sort %llu\n", (unsigned long long)s);
  return 0;
}
