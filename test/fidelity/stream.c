/*
 * The copy and the triad of the STREAM benchmark (McCalpin, https://www.cs.virginia.edu/stream/), written anew: the
 * same kernels, the same count of bytes, arrays that each thread touches first. It prints the rate of every pass in
 * bytes per second, and takes the length of an array and the number of passes.
 *
 * gcc -O3 -march=native -fopenmp stream.c -o stream
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec * 1e-9;
}

int main(int count, char **values) {
  if (count != 3) return 2;
  long length = atol(values[1]);
  int passes = atoi(values[2]);
  double *a = malloc(length * sizeof *a);
  double *b = malloc(length * sizeof *b);
  double *c = malloc(length * sizeof *c);
  if (!a || !b || !c) return 1;
#pragma omp parallel for
  for (long i = 0; i < length; i++) {
    a[i] = 1.0;
    b[i] = 2.0;
    c[i] = 0.0;
  }
  for (int pass = 0; pass < passes; pass++) {
    double start = now();
#pragma omp parallel for
    for (long i = 0; i < length; i++) c[i] = a[i];
    printf("copy %.0f\n", 2.0 * sizeof(double) * length / (now() - start));
    start = now();
#pragma omp parallel for
    for (long i = 0; i < length; i++) a[i] = b[i] + 3.0 * c[i];
    printf("triad %.0f\n", 3.0 * sizeof(double) * length / (now() - start));
  }
  return a[length / 2] > 0 ? 0 : 1;
}
