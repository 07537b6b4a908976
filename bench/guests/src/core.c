/* CoreMark-like: linked list find/sort, small int matrix, state machine, crc */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
typedef struct L {
  struct L *n;
  int16_t v;
  int16_t id;
} L;
static uint16_t crc16(uint16_t c, uint8_t b) {
  for (int i = 0; i < 8; i++) {
    uint8_t x = (b & 1) ^ (c & 1);
    b >>= 1;
    if (x) {
      c ^= 0x4002;
      c >>= 1;
      c |= 0x8000;
    } else {
      c >>= 1;
      c &= 0x7fff;
    }
  }
  return c;
}
static uint16_t crcu16(uint16_t v, uint16_t c) {
  c = crc16(c, v & 255);
  return crc16(c, v >> 8);
}
typedef int (*cmpf)(L *, L *);
static int cv(L *a, L *b) {
  return a->v - b->v;
}
static int ci(L *a, L *b) {
  return a->id - b->id;
}
static L *msort(L *l, cmpf f) {
  int k = 1;
  for (;;) {
    L *p = l, *t = 0;
    l = 0;
    int m = 0;
    while (p) {
      m++;
      L *q = p;
      int ps = 0;
      for (int i = 0; i < k; i++) {
        ps++;
        q = q->n;
        if (!q)
          break;
      }
      int qs = k;
      while (ps > 0 || (qs > 0 && q)) {
        L *e;
        if (ps == 0) {
          e = q;
          q = q->n;
          qs--;
        } else if (qs == 0 || !q) {
          e = p;
          p = p->n;
          ps--;
        } else if (f(p, q) <= 0) {
          e = p;
          p = p->n;
          ps--;
        } else {
          e = q;
          q = q->n;
          qs--;
        }
        if (t)
          t->n = e;
        else
          l = e;
        t = e;
      }
      p = q;
    }
    t->n = 0;
    if (m <= 1)
      return l;
    k *= 2;
  }
}
static int16_t ma[16][16], mb[16][16];
static int32_t mc[16][16];
static uint16_t mat(uint16_t seed, uint16_t crc) {
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < 16; j++) {
      ma[i][j] = (seed * (i + 1) + j) & 255;
      mb[i][j] = (seed + i * j) & 127;
    }
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < 16; j++) {
      int32_t s = 0;
      for (int k = 0; k < 16; k++)
        s += (int32_t)ma[i][k] * mb[k][j];
      mc[i][j] = s;
    }
  int32_t t = 0;
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < 16; j++) {
      t += mc[i][j];
      if (t > 1000) {
        crc = crcu16((uint16_t)t, crc);
        t = 0;
      }
    }
  return crcu16((uint16_t)t, crc);
}
static uint16_t sm(const char *p, uint16_t crc) {
  int st = 0;
  unsigned cnt[8] = {0};
  while (*p) {
    char c = *p++;
    switch (st) {
    case 0:
      if (c >= '0' && c <= '9')
        st = 1;
      else if (c == '+' || c == '-')
        st = 2;
      else if (c == '.')
        st = 3;
      else if (c == ',')
        st = 0;
      else
        st = 7;
      break;
    case 1:
      if (c == '.')
        st = 3;
      else if (c == ',')
        st = 0;
      else if (c == 'e')
        st = 4;
      else if (c < '0' || c > '9')
        st = 7;
      break;
    case 2:
      if (c >= '0' && c <= '9')
        st = 1;
      else if (c == '.')
        st = 3;
      else
        st = 7;
      break;
    case 3:
      if (c == 'e' || c == 'E')
        st = 4;
      else if (c == ',')
        st = 0;
      else if (c < '0' || c > '9')
        st = 7;
      break;
    case 4:
      if (c == '+' || c == '-')
        st = 5;
      else
        st = 7;
      break;
    case 5:
      if (c == ',')
        st = 0;
      break;
    case 7:
      if (c == ',')
        st = 0;
      break;
    }
    cnt[st]++;
  }
  for (int i = 0; i < 8; i++)
    crc = crcu16(cnt[i], crc);
  return crc;
}
int main(void) {
  static L pool[256];
  uint16_t crc = 0;
  for (int it = 0; it < 12000; it++) {
    for (int i = 0; i < 256; i++) {
      pool[i].v = (int16_t)((i * (it | 1) * 7919) & 0x7fff);
      pool[i].id = i;
      pool[i].n = i < 255 ? &pool[i + 1] : 0;
    }
    L *l = msort(&pool[0], cv);
    for (L *p = l; p; p = p->n)
      crc = crcu16(p->v, crc);
    l = msort(l, ci);
    crc = crcu16(l->v, crc);
    crc = mat(it, crc);
    crc = sm("5012,1234,-874,+122,35.54400,.1234500,-110.700,+0.64400,5.500e+3,-.123e-2,-87e+832,+0.6e-12,T0."
             "3e-1F,-T.T++Tq,1T3.4e4z,34.0e-T^",
             crc);
  }
  printf("core %04x\n", crc);
  return 0;
}
