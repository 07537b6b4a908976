#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef struct E {
  struct E *next;
  uint64_t key;
  uint32_t val;
} E;
static E **tab;
static uint32_t cap, cnt;
static uint32_t h(uint64_t k) {
  k ^= k >> 33;
  k *= 0xff51afd7ed558ccdULL;
  k ^= k >> 33;
  return (uint32_t)k;
}
static void grow(void) {
  uint32_t nc = cap * 2;
  E **nt = calloc(nc, sizeof(E *));
  for (uint32_t i = 0; i < cap; i++) {
    E *e = tab[i];
    while (e) {
      E *n = e->next;
      uint32_t b = h(e->key) & (nc - 1);
      e->next = nt[b];
      nt[b] = e;
      e = n;
    }
  }
  free(tab);
  tab = nt;
  cap = nc;
}
static E *__attribute__((noinline)) find(uint64_t k) {
  for (E *e = tab[h(k) & (cap - 1)]; e; e = e->next)
    if (e->key == k)
      return e;
  return 0;
}
static void __attribute__((noinline)) ins(uint64_t k) {
  E *e = find(k);
  if (e) {
    e->val++;
    return;
  }
  if (cnt > cap)
    grow();
  e = malloc(sizeof *e);
  uint32_t b = h(k) & (cap - 1);
  e->key = k;
  e->val = 1;
  e->next = tab[b];
  tab[b] = e;
  cnt++;
}
static int __attribute__((noinline)) del(uint64_t k) {
  E **p = &tab[h(k) & (cap - 1)];
  while (*p) {
    if ((*p)->key == k) {
      E *e = *p;
      *p = e->next;
      free(e);
      cnt--;
      return 1;
    }
    p = &(*p)->next;
  }
  return 0;
}
int main(void) {
  cap = 1024;
  tab = calloc(cap, sizeof(E *));
  uint64_t x = 88172645463325252ULL;
  uint64_t d = 0;
  for (int i = 0; i < 10000000; i++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    uint64_t k = x % 400000;
    if ((i % 5) == 4)
      d += del(k);
    else
      ins(k);
  }
  uint64_t s = 0;
  for (uint32_t i = 0; i < cap; i++)
    for (E *e = tab[i]; e; e = e->next)
      s += e->val * e->key;
  printf("hash %u %llu %llu\n", cnt, (unsigned long long)s, (unsigned long long)d);
  return 0;
}
