import type { Shape } from './shape-space.ts';

/**
 * What is expected of the rates of shapes that nobody has timed: a Gaussian process (Rasmussen and Williams 2006,
 * algorithm 2.1) whose covariance is how matmul kernels behave:
 *
 * - a smooth trend over the logarithms of M, N and K: larger products keep a machine busier;
 * - an effect of how large both operands are together: whether a cache holds them;
 * - an effect of each axis value: whether it is a multiple of a tile, or an unlucky power of two;
 * - an effect of each pair (M, N): how its tiles fill the last wave of the machine's units, whatever K is; nearly the
 *   same with M and N swapped, since tiles are square or come in both orientations.
 *
 * Shapes outside of `candidates` are not known to it. Each observation costs candidates x observations operations.
 */
export interface Surrogate {
  observe(candidate: number, value: number): void;
  mean(candidate: number): number;
  variance(candidate: number): number;
}

/**
 * Variances of the parts, of rates in units of the best of the first ones. They are how far rates differ between
 * shapes on the surfaces of the tests and on the CPUs this was written on: a small shape has a third of the best rate,
 * a misaligned one nine tenths, a badly filled last wave four fifths.
 */
const TREND_VARIANCE = 0.06;
/** How far the trend reaches, in doublings of one length. */
const TREND_OCTAVES = 1.6;
/** A cache that no longer holds the operands costs a twentieth. */
const FOOTPRINT_VARIANCE = 0.003;
/** Over how many doublings of the operands: caches end more abruptly than anything else. */
const FOOTPRINT_OCTAVES = 0.6;
const AXIS_VARIANCE = 0.003;
const PAIR_VARIANCE = 0.025;
/** Of the effect of a pair, what the swapped pair shares. */
const SWAPPED_SHARE = 0.8;
/** What is left: how one shape differs from its neighbours for no reason that is modelled. */
const OWN_VARIANCE = 0.0007;
/** Of a median of a few repetitions: 2 % of the best rate. */
const NOISE_VARIANCE = 0.0004;

/** @param priorMean - what is expected where nothing is known. */
export function newSurrogate(candidates: readonly Shape[], priorMean: number): Surrogate {
  const { length } = candidates;
  const axes = [
    Float64Array.from(candidates, ({ rows }) => Math.log2(rows) / TREND_OCTAVES),
    Float64Array.from(candidates, ({ batch }) => Math.log2(batch) / TREND_OCTAVES),
    Float64Array.from(candidates, ({ columns }) => Math.log2(columns) / TREND_OCTAVES),
  ] as const;
  const footprints = Float64Array.from(
    candidates,
    ({ rows, batch, columns }) => Math.log2(columns * (rows + batch)) / FOOTPRINT_OCTAVES,
  );
  const means = new Float64Array(length).fill(priorMean);
  const variances = new Float64Array(length).fill(
    TREND_VARIANCE + FOOTPRINT_VARIANCE + 3 * AXIS_VARIANCE + PAIR_VARIANCE + OWN_VARIANCE,
  );
  /** One row for each observation: the solved covariance with every candidate (the rows of L^-1 K*). */
  const solved: Float64Array[] = [];

  const isSwapped = (one: number, other: number): boolean =>
    at(axes[0], one) === at(axes[1], other) && at(axes[1], one) === at(axes[0], other);
  /** The covariance of one candidate with all. */
  const covariances = (one: number): Float64Array => {
    const row = new Float64Array(length);
    for (let other = 0; other < length; other += 1) {
      const apart = axes.map((axis) => at(axis, one) - at(axis, other));
      const [m = 0, n = 0, k = 0] = apart;
      let value = TREND_VARIANCE * Math.exp(-(m * m + n * n + k * k) / 2);
      const footprint = at(footprints, one) - at(footprints, other);
      value += FOOTPRINT_VARIANCE * Math.exp(-(footprint * footprint) / 2);
      if (m === 0) value += AXIS_VARIANCE;
      if (n === 0) value += AXIS_VARIANCE;
      if (k === 0) value += AXIS_VARIANCE;
      if (m === 0 && n === 0) value += k === 0 ? PAIR_VARIANCE + OWN_VARIANCE : PAIR_VARIANCE;
      else if (isSwapped(one, other)) value += SWAPPED_SHARE * PAIR_VARIANCE;
      row[other] = value;
    }
    return row;
  };

  return {
    observe(candidate, value) {
      const diagonal = Math.sqrt(at(variances, candidate) + NOISE_VARIANCE);
      const weight = (value - at(means, candidate)) / diagonal;
      const row = covariances(candidate);
      for (const earlier of solved) {
        const own = at(earlier, candidate);
        for (let other = 0; other < length; other += 1)
          row[other] = at(row, other) - own * at(earlier, other);
      }
      for (let other = 0; other < length; other += 1) {
        const entry = at(row, other) / diagonal;
        row[other] = entry;
        means[other] = at(means, other) + entry * weight;
        variances[other] = Math.max(0, at(variances, other) - entry * entry);
      }
      solved.push(row);
    },
    mean: (candidate) => at(means, candidate),
    variance: (candidate) => at(variances, candidate),
  };
}

/** Within bounds by construction. */
const at = (values: Float64Array, index: number): number => values[index] ?? Number.NaN;

/** How far a value lies above what is expected of a candidate, in standard deviations of one observation. */
export function surpriseOf(surrogate: Surrogate, candidate: number, value: number): number {
  return (value - surrogate.mean(candidate)) / Math.sqrt(surrogate.variance(candidate) + NOISE_VARIANCE);
}

/** How much better than `best` a candidate is expected to be (expected improvement, Jones et al. 1998). */
export function expectedImprovement(surrogate: Surrogate, candidate: number, best: number): number {
  const deviation = Math.sqrt(surrogate.variance(candidate));
  const gain = surrogate.mean(candidate) - best;
  if (deviation < 1e-9) return Math.max(0, gain);
  const z = gain / deviation;
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  return gain * normalCumulative(z) + deviation * density;
}

/** Abramowitz and Stegun 26.2.17, good to 1e-7. */
function normalCumulative(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  const tail =
    density *
    t *
    (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return z >= 0 ? 1 - tail : tail;
}
