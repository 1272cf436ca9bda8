import { medianInterval, type Interval } from './bootstrap.ts';
import { median, sortSamples } from './samples.ts';

export type PairedVerdict = 'faster' | 'slower' | 'same' | 'ambiguous';

/** How B compares with A over pairs measured side by side. */
export interface PairedComparison {
  /** Median of B/A. */
  readonly ratio: number;
  readonly interval: Interval;
  readonly verdict: PairedVerdict;
}

/** Differences below this share are of no use to anybody and are called the same. */
const SAME_WITHIN = 0.01;

/**
 * Compares rates (higher is better) measured in pairs, by the median of log(B/A) and its bootstrap interval.
 * @param pairs - `[a, b]`, both positive, measured next to each other in time (A B B A).
 */
export function comparePairs(
  pairs: readonly (readonly [a: number, b: number])[],
  confidence = 0.95,
): PairedComparison {
  const logRatios = pairs.map(([a, b]) => Math.log(b / a));
  const logInterval = medianInterval(logRatios, confidence);
  const interval = { low: Math.exp(logInterval.low), high: Math.exp(logInterval.high), confidence };
  return { ratio: Math.exp(median(sortSamples(logRatios))), interval, verdict: verdictOf(interval) };
}

function verdictOf(interval: Interval): PairedVerdict {
  if (interval.low > 1 - SAME_WITHIN && interval.high < 1 + SAME_WITHIN) return 'same';
  if (interval.low > 1) return 'faster';
  if (interval.high < 1) return 'slower';
  return 'ambiguous';
}
