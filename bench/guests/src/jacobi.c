#include <stdio.h>
#define N 1000
#define T 500
static double A[N][N], B[N][N];
static void __attribute__((noinline)) step(double X[N][N], double Y[N][N]) {
  for (int i = 1; i < N - 1; i++)
    for (int j = 1; j < N - 1; j++)
      Y[i][j] = 0.2 * (X[i][j] + X[i][j - 1] + X[i][1 + j] + X[1 + i][j] + X[i - 1][j]);
}
int main(void) {
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      A[i][j] = ((double)i * (j + 2) + 2) / N;
      B[i][j] = ((double)i * (j + 3) + 3) / N;
    }
  for (int t = 0; t < T; t++) {
    step(A, B);
    step(B, A);
  }
  double s = 0;
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++)
      s += A[i][j];
  printf("jacobi %.6e\n", s);
  return 0;
}
