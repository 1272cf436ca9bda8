declare const sorted: unique symbol;

/** At least one finite number, ascending. Made only by {@link sortSamples}, so that order is proved, not assumed. */
export type SortedSamples = readonly [number, ...number[]] & { readonly [sorted]: true };

/** Sorts a copy. @throws RangeError when the list is empty or holds a number that is not finite. */
export function sortSamples(values: readonly number[]): SortedSamples {
  if (values.length === 0) throw new RangeError('statistics need at least one sample');
  if (!values.every(Number.isFinite)) throw new RangeError('statistics need finite samples');
  return values.toSorted((a, b) => a - b) as readonly number[] as SortedSamples;
}

/** The quantile at `p` in [0, 1], interpolated linearly between order statistics (Hyndman and Fan 1996, type 7). */
export function quantile(samples: SortedSamples, p: number): number {
  const position = Math.min(Math.max(p, 0), 1) * (samples.length - 1);
  const below = Math.floor(position);
  const low = samples[below] ?? samples[0];
  const high = samples[below + 1] ?? low;
  return low + (high - low) * (position - below);
}

export function median(samples: SortedSamples): number {
  return quantile(samples, 0.5);
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The sample standard deviation (n - 1); 0 for a single value, as llama-bench prints it. */
export function standardDeviation(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}

/** Makes the median absolute deviation estimate the standard deviation of normal data: 1 / Φ^-1(3/4). */
const NORMAL_CONSISTENCY = 1.4826;

/** The limit of the modified z-score above which a sample counts as an outlier (Iglewicz and Hoaglin 1993). */
const OUTLIER_LIMIT = 3.5;

/** The values whose modified z-score exceeds 3.5. Fewer than five samples are never judged. */
export function outliers(values: readonly number[]): number[] {
  if (values.length < 5) return [];
  const centre = median(sortSamples(values));
  const spread = NORMAL_CONSISTENCY * median(sortSamples(values.map((value) => Math.abs(value - centre))));
  if (spread === 0) return [];
  return values.filter((value) => Math.abs(value - centre) / spread > OUTLIER_LIMIT);
}
