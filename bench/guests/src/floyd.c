#include <stdio.h>
#define N 900
static int P[N][N];
static void __attribute__((noinline)) fw(void) {
  for (int k = 0; k < N; k++)
    for (int i = 0; i < N; i++)
      for (int j = 0; j < N; j++) {
        int t = P[i][k] + P[k][j];
        P[i][j] = P[i][j] < t ? P[i][j] : t;
      }
}
int main(void) {
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      P[i][j] = i * j % 7 + 1;
      if ((i + j) % 13 == 0 || (i + j) % 7 == 0 || (i + j) % 11 == 0)
        P[i][j] = 999;
    }
  fw();
  long s = 0;
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++)
      s += P[i][j];
  printf("floyd %ld\n", s);
  return 0;
}
