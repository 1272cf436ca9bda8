/*
 * The copy and the triad of the STREAM benchmark (McCalpin, https://www.cs.virginia.edu/stream/), written anew: the
 * same kernels, the same count of bytes, static arrays that each thread touches first, with OFFSET doubles behind each
 * of them, as STREAM's own OFFSET. Prints the rate of every pass in bytes per second; its argument is their number.
 *
 * gcc -O3 -march=native -fopenmp -DLENGTH=22368256 -DOFFSET=136 -DTRIAD stream.c -o stream
 *
 * Without TRIAD it copies. gcc makes a call of memcpy of the copy; with -fno-tree-loop-distribute-patterns it stays a
 * loop. With STREAMING the stores go past the caches, as Intel's compiler makes them and gcc does not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#ifdef STREAMING
#include <immintrin.h>
#define STORE(place, value) _mm_stream_si64((long long *)&(place), bits(value))
static inline long long bits(double value) {
  union {
    double value;
    long long bits;
  } both = {value};
  return both.bits;
}
#else
#define STORE(place, value) ((place) = (value))
#endif

/* Arrays of one object: no two of them overlap, and they lie in this order. */
static struct {
  double first[LENGTH + OFFSET], second[LENGTH + OFFSET], target[LENGTH + OFFSET];
} arrays;

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
#ifdef TRIAD
    arrays.first[i] = 1.0;
#endif
    arrays.second[i] = 2.0;
    arrays.target[i] = 0.0;
  }
  for (int pass = 0; pass < passes; pass++) {
    double start = now();
#pragma omp parallel for
    for (long i = 0; i < LENGTH; i++) {
#ifdef TRIAD
      STORE(arrays.target[i], arrays.first[i] + 3.0 * arrays.second[i]);
#else
      STORE(arrays.target[i], arrays.second[i]);
#endif
    }
#ifdef TRIAD
    printf("%.0f\n", 3.0 * sizeof(double) * LENGTH / (now() - start));
#else
    printf("%.0f\n", 2.0 * sizeof(double) * LENGTH / (now() - start));
#endif
  }
  return arrays.target[LENGTH / 2] > 0 ? 0 : 1;
}
