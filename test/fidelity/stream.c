/*
 * The copy and the triad of the STREAM benchmark (McCalpin, https://www.cs.virginia.edu/stream/), written anew: the
 * same kernels, the same count of bytes, static arrays that each thread touches first. (With pointers in their place gcc
 * must expect them to overlap, and makes the copy another, slower loop.) It prints the rate of every pass in bytes per
 * second, and takes the number of passes.
 *
 * gcc -O3 -march=native -fopenmp -DLENGTH=22369621 stream.c -o stream
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double a[LENGTH], b[LENGTH], c[LENGTH];

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec * 1e-9;
}

int main(int count, char **values) {
  if (count != 2) return 2;
  int passes = atoi(values[1]);
#pragma omp parallel for
  for (long i = 0; i < LENGTH; i++) {
    a[i] = 1.0;
    b[i] = 2.0;
    c[i] = 0.0;
  }
  for (int pass = 0; pass < passes; pass++) {
    double start = now();
#pragma omp parallel for
    for (long i = 0; i < LENGTH; i++) c[i] = a[i];
    printf("copy %.0f\n", 2.0 * sizeof(double) * LENGTH / (now() - start));
    start = now();
#pragma omp parallel for
    for (long i = 0; i < LENGTH; i++) a[i] = b[i] + 3.0 * c[i];
    printf("triad %.0f\n", 3.0 * sizeof(double) * LENGTH / (now() - start));
  }
  return a[LENGTH / 2] > 0 ? 0 : 1;
}
