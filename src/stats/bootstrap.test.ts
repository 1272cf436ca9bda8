import { describe, expect, test } from 'vitest';
import { bootstrapInterval, pairedBootstrapInterval } from './bootstrap.ts';
import { median } from './samples.ts';
import type { SortedSamples } from './samples.ts';

/** Two groups that share the noise of their index and differ by exactly one. */
const shared = [3, 9, 1, 7, 5, 8, 2];
const groups = [shared, shared.map((value) => value + 1)];
const difference = ([first, second]: readonly SortedSamples[]): number =>
  first === undefined || second === undefined ? Number.NaN : median(second) - median(first);

describe('the paired bootstrap', () => {
  test('cancels the noise that the samples of one index share', () => {
    const interval = pairedBootstrapInterval(groups, difference, 0.95);
    expect(interval).toEqual({ low: 1, high: 1, confidence: 0.95 });
    const independent = bootstrapInterval(groups, difference, 0.95);
    expect(independent.high - independent.low).toBeGreaterThan(1);
  });

  test('refuses groups of different lengths', () => {
    expect(() => pairedBootstrapInterval([[1, 2], [1]], difference, 0.8)).toThrow(/same number/);
  });
});
