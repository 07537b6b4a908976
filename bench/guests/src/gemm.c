#include <stdio.h>
#include <stdlib.h>
#ifndef N
#define N 700
#endif
static double A[N][N], B[N][N], C[N][N];
static void init(void) {
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      A[i][j] = ((i * j + 1) % N) / (double)N;
      B[i][j] = (i * (j + 1) % N) / (double)N;
      C[i][j] = (i * (j + 2) % N) / (double)N;
    }
}
static void __attribute__((noinline)) gemm(double alpha, double beta) {
  for (int i = 0; i < N; i++) {
    for (int j = 0; j < N; j++)
      C[i][j] *= beta;
    for (int k = 0; k < N; k++)
      for (int j = 0; j < N; j++)
        C[i][j] += alpha * A[i][k] * B[k][j];
  }
}
int main(void) {
  init();
  for (int r = 0; r < 4; r++) {
    gemm(1.5, 1.2);
  }
  double s = 0;
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++)
      s += C[i][j];
  printf("gemm %.6e\n", s);
  return 0;
}
