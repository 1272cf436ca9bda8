import { logCost, logCostSlope } from './cost.ts';
import { TERM_NAMES, type Metric } from './effects.ts';

/** One measurement of one's own, as the fit sees it. */
export interface CalibrationPoint {
  /** Times of the terms at their roofs, in seconds. */
  readonly roofs: Float64Array;
  /** Sums of effects without calibration. */
  readonly sums: Float64Array;
  readonly logSeconds: number;
}

/** Terms that a device shifts together, and by how much without evidence: the spread between devices of a class. */
export interface Shift {
  readonly terms: readonly string[];
  readonly sigma: number;
}

/** A machine as a whole may be a slice of the device, or throttled: a virtual machine has a few of its cores. */
const WHOLE_SIGMA = 1;

const SHIFTS: Readonly<Record<Metric, readonly Shift[]>> = {
  generation: [
    { terms: TERM_NAMES.generation, sigma: WHOLE_SIGMA },
    { terms: ['dense', 'experts', 'cache', 'attention', 'arithmetic'], sigma: 0.3 },
    { terms: ['fixed', 'launch'], sigma: 0.4 },
    { terms: ['cache', 'attention'], sigma: 0.3 },
    ...TERM_NAMES.generation.map((term) => ({ terms: [term], sigma: 0.25 })),
  ],
  prompt: [
    { terms: TERM_NAMES.prompt, sigma: WHOLE_SIGMA },
    { terms: ['matmul', 'expert-matmul', 'dispatch', 'attention', 'elementwise'], sigma: 0.5 },
    { terms: ['expert-matmul', 'dispatch'], sigma: 0.3 },
    { terms: ['fixed', 'launch'], sigma: 0.3 },
    ...TERM_NAMES.prompt.map((term) => ({ terms: [term], sigma: 0.25 })),
  ],
};

/** How far a perfectly calibrated model still is from a measurement, in log units: noise and what it leaves out. */
const POINT_NOISE: Readonly<Record<Metric, number>> = { generation: 0.04, prompt: 0.07 };
/** The model is nearly linear in the shifts: a few linearisations settle. */
const ITERATIONS = 8;

/**
 * What own measurements teach about one device with one backend: shifts to add to the sums of effects of every
 * term, the most probable ones under the spread between devices (a Gauss-Newton step of maximum a posteriori
 * estimation, repeated).
 * @param shifts - what may differ, and by how much; without it what differs between devices of one class.
 */
export function calibrate(
  metric: Metric,
  points: readonly CalibrationPoint[],
  shifts: readonly Shift[] = SHIFTS[metric],
): Float64Array {
  const names = TERM_NAMES[metric];
  const offsets = new Float64Array(names.length);
  const state = new Float64Array(shifts.length);
  if (points.length === 0) return offsets;
  const distances = points.map((point) => distanceOf(metric, point)).sort((a, b) => a - b);
  const common = distances[Math.floor((distances.length - 1) / 2)] ?? 0;
  const noise = points.map((point) => trustedNoise(metric, point, common, shifts));
  for (let iteration = 0; iteration < ITERATIONS; iteration += 1) {
    const jacobian: Float64Array[] = [];
    const residuals: number[] = [];
    for (const point of points) {
      const { total, shares } = sharesOf(metric, point, offsets);
      const row = Float64Array.from(shifts, ({ terms, sigma }) =>
        terms.reduce((sum, term) => sum + (shares[names.indexOf(term)] ?? 0) * sigma, 0),
      );
      jacobian.push(row);
      // Linearised about the present state: the residual that the state as a whole has to explain.
      residuals.push(point.logSeconds - Math.log(total) + dot(row, state));
    }
    const weights = solve(
      jacobian.map((a, i) => jacobian.map((b, j) => dot(a, b) + (i === j ? (noise[i] ?? 0) : 0))),
      residuals,
    );
    state.fill(0);
    for (const [i, row] of jacobian.entries()) {
      for (let s = 0; s < state.length; s += 1)
        state[s] = (state[s] ?? 0) + (row[s] ?? 0) * (weights[i] ?? 0);
    }
    offsets.fill(0);
    for (const [s, { terms, sigma }] of shifts.entries()) {
      for (const term of terms) {
        const at = names.indexOf(term);
        offsets[at] = (offsets[at] ?? 0) + (state[s] ?? 0) * sigma;
      }
    }
  }
  return offsets;
}

/** A point this many standard deviations from the others of its device measured something else: swapping, a wrong label. */
const BELIEVABLE = 3;

/** The variance of a point; of one that is not believable so much that it moves little. */
function trustedNoise(
  metric: Metric,
  point: CalibrationPoint,
  common: number,
  shifts: readonly Shift[],
): number {
  const noise = POINT_NOISE[metric] ** 2;
  const { shares } = sharesOf(metric, point, new Float64Array(TERM_NAMES[metric].length));
  let spread = noise;
  for (const { terms, sigma } of shifts) {
    const share = terms.reduce((sum, term) => sum + (shares[TERM_NAMES[metric].indexOf(term)] ?? 0), 0);
    spread += (share * sigma) ** 2;
  }
  const distance = (distanceOf(metric, point) - common) ** 2;
  return distance > BELIEVABLE ** 2 * spread ? noise + distance : noise;
}

/** The logarithm of measured / predicted time before anything is learned. */
function distanceOf(metric: Metric, point: CalibrationPoint): number {
  const { total } = sharesOf(metric, point, new Float64Array(TERM_NAMES[metric].length));
  return point.logSeconds - Math.log(total);
}

function sharesOf(
  metric: Metric,
  point: CalibrationPoint,
  offsets: Float64Array,
): { readonly total: number; readonly shares: readonly number[] } {
  let total = 0;
  const slopes: number[] = [];
  for (const [k, name] of TERM_NAMES[metric].entries()) {
    const roof = point.roofs[k] ?? 0;
    const z = (point.sums[k] ?? 0) + (offsets[k] ?? 0);
    const time = roof > 0 ? roof * Math.exp(logCost(name, z)) : 0;
    total += time;
    slopes.push(time * logCostSlope(name, z));
  }
  return { total, shares: slopes.map((slope) => slope / total) };
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let each = 0; each < a.length; each += 1) sum += (a[each] ?? 0) * (b[each] ?? 0);
  return sum;
}

/** Solves a symmetric positive definite system by Gaussian elimination; the noise on its diagonal keeps it regular. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, index) => [...row, right[index] ?? 0]);
  const size = rows.length;
  for (const [at, pivotRow] of rows.entries()) {
    const pivot = pivotRow[at] ?? 1;
    for (let below = at + 1; below < size; below += 1) {
      const row = rows[below] ?? [];
      const factor = (row[at] ?? 0) / pivot;
      for (let column = at; column <= size; column += 1) {
        row[column] = (row[column] ?? 0) - factor * (pivotRow[column] ?? 0);
      }
    }
  }
  const solution = Array<number>(size).fill(0);
  for (let at = size - 1; at >= 0; at -= 1) {
    const row = rows[at] ?? [];
    let value = row[size] ?? 0;
    for (let column = at + 1; column < size; column += 1)
      value -= (row[column] ?? 0) * (solution[column] ?? 0);
    solution[at] = value / (row[at] ?? 1);
  }
  return solution;
}
