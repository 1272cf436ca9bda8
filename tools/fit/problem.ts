import type { EffectKey } from '../../src/predict/effects.ts';
import { logCost, logCostSlope } from '../../src/predict/cost.ts';
import type { Objective } from './minimise.ts';

/** One measurement, ready for the fit. */
export interface FitRow {
  /** Times of the terms at their roofs, in seconds. */
  readonly roofs: Float64Array;
  readonly effects: readonly EffectKey[];
  /** The logarithm of the measured time. */
  readonly logSeconds: number;
}

/** All rows as flat arrays: the effects of row r and term k are at offsets[r * terms + k] to the next. */
export interface Problem {
  readonly rows: number;
  readonly terms: readonly string[];
  readonly starts: Float64Array;
  readonly logRoofs: Float64Array;
  readonly offsets: Int32Array;
  readonly refs: Int32Array;
  readonly sigmas: Float64Array;
  readonly keys: readonly EffectKey[];
  readonly logSeconds: Float64Array;
}

export function compileProblem(
  rows: readonly FitRow[],
  terms: readonly string[],
  starts: Float64Array,
): Problem {
  const count = terms.length;
  const index = new Map<string, number>();
  const keys: EffectKey[] = [];
  const offsets = new Int32Array(rows.length * count + 1);
  const refs: number[] = [];
  const logRoofs = new Float64Array(rows.length * count);
  for (const [r, row] of rows.entries()) {
    const byTerm: number[][] = terms.map(() => []);
    for (const key of row.effects) {
      if (!((row.roofs[key.term] ?? 0) > 0)) continue;
      const name = `${key.group} ${key.scope} ${key.aspect}`;
      let at = index.get(name);
      if (at === undefined) {
        at = keys.length;
        index.set(name, at);
        keys.push(key);
      }
      byTerm[key.term]?.push(at);
    }
    for (const [k, list] of byTerm.entries()) {
      offsets[r * count + k] = refs.length;
      for (const at of list) refs.push(at);
      logRoofs[r * count + k] = Math.log(row.roofs[k] ?? 0);
    }
  }
  offsets[rows.length * count] = refs.length;
  return {
    rows: rows.length,
    terms,
    starts,
    logRoofs,
    offsets,
    refs: Int32Array.from(refs),
    sigmas: Float64Array.from(keys, (key) => key.sigma),
    keys,
    logSeconds: Float64Array.from(rows, (row) => row.logSeconds),
  };
}

/** Student's t for residuals: degrees of freedom and scale in log units. */
export interface Noise {
  readonly degrees: number;
  readonly scale: number;
}

/** The negative logarithm of the posterior, in effects divided by their sigmas. */
export function posterior(problem: Problem, weights: Float64Array, noise: Noise): Objective {
  const { rows, terms, refs, offsets, sigmas, logRoofs, starts, logSeconds } = problem;
  const count = terms.length;
  const variance = noise.degrees * noise.scale ** 2;
  const times = new Float64Array(count);
  const slopes = new Float64Array(count);
  return (at, gradient) => {
    let value = 0;
    for (let each = 0; each < at.length; each += 1) {
      const u = at[each] ?? 0;
      value += 0.5 * u * u;
      gradient[each] = u;
    }
    for (let r = 0; r < rows; r += 1) {
      const weight = weights[r] ?? 0;
      if (weight === 0) continue;
      let total = 0;
      for (let k = 0; k < count; k += 1) {
        const roof = logRoofs[r * count + k] ?? Number.NEGATIVE_INFINITY;
        if (roof === Number.NEGATIVE_INFINITY) {
          times[k] = 0;
          continue;
        }
        let z = starts[k] ?? 0;
        const end = offsets[r * count + k + 1] ?? 0;
        for (let ref = offsets[r * count + k] ?? 0; ref < end; ref += 1) {
          const effect = refs[ref] ?? 0;
          z += (at[effect] ?? 0) * (sigmas[effect] ?? 0);
        }
        const time = Math.exp(roof + logCost(terms[k] ?? '', z));
        times[k] = time;
        slopes[k] = logCostSlope(terms[k] ?? '', z);
        total += time;
      }
      const residual = Math.log(total) - (logSeconds[r] ?? 0);
      const squared = residual * residual;
      value += weight * 0.5 * (noise.degrees + 1) * Math.log1p(squared / variance);
      const pull = (weight * (noise.degrees + 1) * residual) / (variance + squared);
      for (let k = 0; k < count; k += 1) {
        const time = times[k] ?? 0;
        if (time === 0) continue;
        const share = (pull * time * (slopes[k] ?? 0)) / total;
        const end = offsets[r * count + k + 1] ?? 0;
        for (let ref = offsets[r * count + k] ?? 0; ref < end; ref += 1) {
          const effect = refs[ref] ?? 0;
          gradient[effect] = (gradient[effect] ?? 0) + share * (sigmas[effect] ?? 0);
        }
      }
    }
    return value;
  };
}

/** The logarithm of the predicted time of every row. */
export function predictRows(problem: Problem, at: Float64Array): Float64Array {
  const { rows, terms, refs, offsets, sigmas, logRoofs, starts } = problem;
  const count = terms.length;
  return Float64Array.from({ length: rows }, (_, r) => {
    let total = 0;
    for (let k = 0; k < count; k += 1) {
      const roof = logRoofs[r * count + k] ?? Number.NEGATIVE_INFINITY;
      if (roof === Number.NEGATIVE_INFINITY) continue;
      let z = starts[k] ?? 0;
      const end = offsets[r * count + k + 1] ?? 0;
      for (let ref = offsets[r * count + k] ?? 0; ref < end; ref += 1) {
        const effect = refs[ref] ?? 0;
        z += (at[effect] ?? 0) * (sigmas[effect] ?? 0);
      }
      total += Math.exp(roof + logCost(terms[k] ?? '', z));
    }
    return Math.log(total);
  });
}

/** Sums of effects of every row and term, row after row. */
export function sumRows(problem: Problem, at: Float64Array): Float64Array {
  const { rows, terms, refs, offsets, sigmas, starts } = problem;
  const count = terms.length;
  return Float64Array.from({ length: rows * count }, (_, index) => {
    let z = starts[index % count] ?? 0;
    const end = offsets[index + 1] ?? 0;
    for (let ref = offsets[index] ?? 0; ref < end; ref += 1) {
      const effect = refs[ref] ?? 0;
      z += (at[effect] ?? 0) * (sigmas[effect] ?? 0);
    }
    return z;
  });
}
