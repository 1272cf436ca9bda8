import { UNBOUNDED } from './terms.ts';

/**
 * Where each term starts before anything is learned: the logarithm of its cost in units of its roof or of its unit
 * time. They are typical values of published measurements: a fixed millisecond, 3 us a launch, 85 % of the
 * bandwidth, a third of the peak.
 */
const START: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  generation: {
    fixed: Math.log(0.7),
    launch: Math.log(3),
    dense: Math.log(1.18),
    experts: Math.log(1.4),
    cache: Math.log(1.6),
    attention: Math.log(4),
    arithmetic: Math.log(1.5),
    state: Math.log(2),
  },
  prompt: {
    fixed: Math.log(1),
    launch: Math.log(10),
    matmul: Math.log(2.8),
    'expert-matmul': Math.log(5),
    dispatch: Math.log(20),
    stream: Math.log(1.3),
    attention: Math.log(8),
    elementwise: Math.log(1.5),
    state: Math.log(20),
  },
};

/** x with log(1 + e^x) = y, for y > 0. */
const inverseSoftplus = (y: number): number => Math.log(Math.expm1(y));

/** The starting points of a metric's terms, on the scale on which effects add up. */
export function startingPoints(metric: 'generation' | 'prompt', terms: readonly string[]): Float64Array {
  return Float64Array.from(terms, (term) => {
    const start = START[metric]?.[term] ?? 0;
    return UNBOUNDED.has(term) ? start : inverseSoftplus(start);
  });
}

/**
 * The logarithm of a term's cost from the sum of its effects. A bounded term costs at least its roof, by
 * construction: softplus is never negative.
 */
export function logCost(term: string, z: number): number {
  return UNBOUNDED.has(term) ? z : softplus(z);
}

/** The derivative of `logCost`. */
export function logCostSlope(term: string, z: number): number {
  return UNBOUNDED.has(term) ? 1 : 1 / (1 + Math.exp(-z));
}

function softplus(z: number): number {
  return z > 30 ? z : Math.log1p(Math.exp(z));
}
