import type { Configuration } from './configuration.ts';
import { logCost, logCostSlope } from './cost.ts';
import { TERM_NAMES, type Metric } from './effects.ts';
import { spreadOf, type Spread } from './spreads.ts';

/** One measurement of one's own, as the fit sees it. */
export interface CalibrationPoint {
  readonly configuration: Configuration;
  /** Times of the terms at their roofs, in seconds. */
  readonly roofs: Float64Array;
  /** Sums of effects without calibration. */
  readonly sums: Float64Array;
  readonly logSeconds: number;
}

/** What own measurements taught: log units to add to terms, by what they apply to (`memory`, `format four-k`). */
export type Shifts = Readonly<Record<string, number>>;

/** The model is nearly linear in the shifts: a few linearisations settle. */
const ITERATIONS = 8;

/** Calls `visit` for every shift that concerns a configuration. */
function visitShifts(
  metric: Metric,
  configuration: Configuration,
  visit: (name: string, positions: readonly number[], sigma: number) => void,
): void {
  for (const { name, positions, sigma, kindOf } of spreadOf(metric, configuration).rules) {
    const kind = kindOf?.(configuration);
    if (kind === null) continue;
    visit(kind === undefined || kind === '' ? name : `${name} ${kind}`, positions, sigma);
  }
}

/** What shifts add to the sums of effects of a configuration, term by term. */
export function shiftedBy(metric: Metric, shifts: Shifts, configuration: Configuration): Float64Array {
  const offsets = new Float64Array(TERM_NAMES[metric].length);
  visitShifts(metric, configuration, (name, positions) => {
    const shift = shifts[name];
    if (shift === undefined) return;
    for (const at of positions) offsets[at] = (offsets[at] ?? 0) + shift;
  });
  return offsets;
}

/** A shift that is being learned. */
interface Unknown {
  readonly sigma: number;
  /** The points that it concerns, by the terms that it moves there. */
  readonly positions: ReadonlyMap<CalibrationPoint, readonly number[]>;
}

/**
 * What own measurements teach about one device with one backend: the most probable shifts under the spread between
 * devices (a Gauss-Newton step of maximum a posteriori estimation, repeated).
 */
export function calibrate(metric: Metric, points: readonly CalibrationPoint[]): Shifts {
  const unknowns = unknownsOf(metric, points);
  const names = [...unknowns.keys()];
  const state = new Float64Array(names.length);
  const slopesOf = (point: CalibrationPoint, shares: readonly number[]): Float64Array =>
    Float64Array.from(unknowns.values(), ({ sigma, positions }) =>
      (positions.get(point) ?? []).reduce((sum, at) => sum + (shares[at] ?? 0) * sigma, 0),
    );
  const shiftsNow = (): Shifts =>
    Object.fromEntries(
      names.map((name, index) => [name, (state[index] ?? 0) * (unknowns.get(name)?.sigma ?? 0)]),
    );
  const noise = trustedNoise(metric, points, slopesOf);
  for (let iteration = 0; iteration < ITERATIONS; iteration += 1) {
    const shifts = shiftsNow();
    const jacobian: Float64Array[] = [];
    const residuals: number[] = [];
    for (const point of points) {
      const { total, shares } = sharesOf(metric, point, shiftedBy(metric, shifts, point.configuration));
      const row = slopesOf(point, shares);
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
  }
  return shiftsNow();
}

function unknownsOf(metric: Metric, points: readonly CalibrationPoint[]): ReadonlyMap<string, Unknown> {
  const unknowns = new Map<string, { sigma: number; positions: Map<CalibrationPoint, readonly number[]> }>();
  for (const point of points) {
    visitShifts(metric, point.configuration, (name, positions, sigma) => {
      const known = unknowns.get(name) ?? { sigma, positions: new Map() };
      known.positions.set(point, positions);
      unknowns.set(name, known);
    });
  }
  return unknowns;
}

/** The variances of the points; of one that is not believable beside the others so much that it moves little. */
function trustedNoise(
  metric: Metric,
  points: readonly CalibrationPoint[],
  slopesOf: (point: CalibrationPoint, shares: readonly number[]) => Float64Array,
): readonly number[] {
  const [first] = points;
  if (first === undefined) return [];
  const spread: Spread = spreadOf(metric, first.configuration);
  const noise = spread.noise ** 2;
  const unshifted = new Float64Array(TERM_NAMES[metric].length);
  const before = points.map((point) => {
    const { total, shares } = sharesOf(metric, point, unshifted);
    return {
      distance: point.logSeconds - Math.log(total),
      variance: noise + squared(slopesOf(point, shares)),
    };
  });
  const sorted = before.map(({ distance }) => distance).sort((a, b) => a - b);
  const common = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
  return before.map(({ distance, variance }) => {
    const apart = (distance - common) ** 2;
    return apart > spread.believable ** 2 * variance ? noise + apart : noise;
  });
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

const squared = (values: Float64Array): number => values.reduce((sum, value) => sum + value * value, 0);

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
