import { calibrate, shiftedBy } from '../../src/predict/calibrate.ts';
import { groupBy } from '../../src/predict/accuracy.ts';
import { startingPoints } from '../../src/predict/cost.ts';
import { TERM_NAMES, type Metric } from '../../src/predict/effects.ts';
import { termSeconds } from '../../src/predict/parameters.ts';
import { roofSeconds } from '../../src/predict/situation.ts';
import { minimise } from './minimise.ts';
import { compileProblem, posterior, predictRows, sumRows, type Problem } from './problem.ts';
import type { EvidenceRow } from './rows.ts';

/** How a prediction knew what it predicts. */
export const REGIMES = ['in-sample', 'configuration', 'a', 'b', 'c', 'time'] as const;
export type Regime = (typeof REGIMES)[number];

/** The logarithm of predicted / measured time, by row; absent: the regime does not predict the row. */
export type Residuals = ReadonlyMap<EvidenceRow, number>;

/** Student's t for residuals (4 degrees of freedom: outliers are common), scale in log units: what one run to the next differs by, and a little more. */
const NOISE: Readonly<Record<Metric, { readonly degrees: number; readonly scale: number }>> = {
  generation: { degrees: 4, scale: 0.05 },
  prompt: { degrees: 4, scale: 0.08 },
};
/** Measured: later iterations change no prediction by more than a percent or two. */
const ITERATIONS = 150;
const TOLERANCE = 1e-5;
/** Groups that are left out one after the other: more cost time, fewer leave less to learn from. */
const FOLDS = 9;
/** Rows of one device and backend beyond this many share their weight: half of all rows are one device. */
const FULL_WEIGHT_ROWS = 60;
/** The same for all backends of a device together, at the square root. */
const FULL_WEIGHT_DEVICE_ROWS = 600;
/**
 * LocalScore's figures are means over nine shapes, and two runs of one configuration differ by a fifth. For prompts they
 * are the only word on many a device: with half of this weight unseen devices at depth are predicted worse by a tenth.
 */
const LOCALSCORE_WEIGHT: Readonly<Record<Metric, number>> = { generation: 0.1, prompt: 0.6 };
/** Measurements from this day on are predicted from those before: 2025-10-15. */
const TIME_SPLIT = Date.parse('2025-10-15');

/** What is predicted from what was measured before it. */
export const isLater = ({ measurement }: EvidenceRow): boolean =>
  Date.parse(measurement.query.date ?? '') >= TIME_SPLIT;

/** All fits of one metric. */
export class Regimes {
  readonly rows: readonly EvidenceRow[];
  readonly problem: Problem;
  readonly #weights: Float64Array;
  /** Where in the problem a row stands as it is asked: after the measured ones, which the fit learns from. */
  readonly #askedAt: ReadonlyMap<EvidenceRow, number>;
  readonly #metric: Metric;

  constructor(evidence: readonly EvidenceRow[], metric: Metric) {
    this.#metric = metric;
    this.rows = evidence.filter((row) => row.metric === metric);
    const asked = this.rows.filter((row) => row.asked !== row.fit);
    this.#askedAt = new Map([
      ...this.rows.map((row, at) => [row, at] as const),
      ...asked.map((row, at) => [row, this.rows.length + at] as const),
    ]);
    this.problem = compileProblem(
      [...this.rows.map((row) => row.fit), ...asked.map((row) => row.asked)],
      TERM_NAMES[metric],
      startingPoints(metric, TERM_NAMES[metric]),
    );
    const byBackend = countBy(this.rows, exactKey);
    const byDevice = countBy(this.rows, (row) => row.chip);
    this.#weights = new Float64Array(this.problem.rows);
    for (const [at, row] of this.rows.entries()) {
      if (isAboveRoof(row)) continue;
      const own = row.prepared.configuration.engine === 'localscore' ? LOCALSCORE_WEIGHT[metric] : 1;
      const shared = Math.min(1, FULL_WEIGHT_ROWS / (byBackend.get(exactKey(row)) ?? 1));
      const device = Math.min(1, Math.sqrt(FULL_WEIGHT_DEVICE_ROWS / (byDevice.get(row.chip) ?? 1)));
      this.#weights[at] = own * shared * device;
    }
  }

  /** The fit to all rows. */
  fitAll(): Float64Array {
    return this.#fit(() => true);
  }

  /** Residuals of the fit to all rows: what it can express, not what it can predict. */
  inSample(at: Float64Array): Residuals {
    return this.#residuals(at, () => true);
  }

  /** Every row predicted by a fit that has seen nothing of its group. */
  leaveOut(
    groupOf: (row: EvidenceRow) => string,
    kindOf: (row: EvidenceRow) => string,
    visible?: (row: EvidenceRow) => string,
  ): { residuals: Residuals; fits: readonly Float64Array[]; foldOf: (row: EvidenceRow) => number } {
    const folds = balancedFolds(this.rows, groupOf, kindOf);
    const foldOf = (row: EvidenceRow): number => folds.get(groupOf(row)) ?? 0;
    const residuals = new Map<EvidenceRow, number>();
    const fits: Float64Array[] = [];
    for (let fold = 0; fold < FOLDS; fold += 1) {
      const trained = (row: EvidenceRow): boolean => foldOf(row) !== fold;
      const seen = new Set(this.rows.filter(trained).map((row) => visible?.(row) ?? ''));
      const at = this.#fit(trained);
      fits.push(at);
      const own = this.#residuals(at, (row) => !trained(row) && seen.has(visible?.(row) ?? ''));
      for (const [row, residual] of own) residuals.set(row, residual);
    }
    return { residuals, fits, foldOf };
  }

  /** Rows predicted by a fit to all the others. */
  outside(isHeldOut: (row: EvidenceRow) => boolean): Residuals {
    return this.#residuals(
      this.#fit((row) => !isHeldOut(row)),
      isHeldOut,
    );
  }

  /** Devices that the fit has not seen, with three points of their own for each backend. */
  calibrated(fits: readonly Float64Array[], foldOf: (row: EvidenceRow) => number): Residuals {
    const residuals = new Map<EvidenceRow, number>();
    const sums = fits.map((at) => sumRows(this.problem, at));
    for (const group of groupBy(this.rows, exactKey).values()) {
      const believable = group.filter((row) => !isAboveRoof(row));
      if (believable.length < FEWEST_CALIBRATED) continue;
      const points = threePoints(believable);
      const sumsOf = (row: EvidenceRow): Float64Array => {
        const at = this.#askedAt.get(row) ?? 0;
        const count = this.problem.terms.length;
        return sums[foldOf(row)]?.slice(at * count, (at + 1) * count) ?? new Float64Array(count);
      };
      const shifts = calibrate(
        this.#metric,
        points.map((row) => ({
          configuration: row.prepared.configuration,
          roofs: row.fit.roofs,
          sums: sumsOf(row),
          logSeconds: row.fit.logSeconds,
        })),
      );
      for (const row of group) {
        if (points.includes(row)) continue;
        const offsets = shiftedBy(this.#metric, shifts, row.prepared.configuration);
        const own = sumsOf(row).map((sum, term) => sum + (offsets[term] ?? 0));
        residuals.set(row, logTotal(this.#metric, row.fit.roofs, own) - row.fit.logSeconds);
      }
    }
    return residuals;
  }

  #fit(trained: (row: EvidenceRow) => boolean): Float64Array {
    const weights = this.#weights.map((weight, at) => {
      const row = this.rows[at];
      return row !== undefined && trained(row) ? weight : 0;
    });
    return minimise(
      posterior(this.problem, weights, NOISE[this.#metric]),
      new Float64Array(this.problem.keys.length),
      { iterations: ITERATIONS, tolerance: TOLERANCE },
    );
  }

  #residuals(at: Float64Array, wanted: (row: EvidenceRow) => boolean): Residuals {
    const predicted = predictRows(this.problem, at);
    return new Map(
      this.rows.flatMap((row) => {
        const at = this.#askedAt.get(row) ?? Number.NaN;
        return wanted(row) ? [[row, (predicted[at] ?? Number.NaN) - row.fit.logSeconds] as const] : [];
      }),
    );
  }
}

/** Published bandwidths and peaks are rounded, and boost clocks vary: this much above the roof is still believed. */
const ROOF_TOLERANCE = 1.1;

/** Faster than the device's roof: nothing is learned from it, but it is scored like every other row. */
function isAboveRoof({ metric, fit }: EvidenceRow): boolean {
  return Math.exp(fit.logSeconds) * ROOF_TOLERANCE < roofSeconds(metric, fit.roofs);
}

function logTotal(metric: Metric, roofs: Float64Array, sums: Float64Array): number {
  return Math.log(termSeconds(metric, roofs, sums).reduce((sum, each) => sum + each, 0));
}

const exactKey = ({ backendKey, prepared, publishedDevice }: EvidenceRow): string =>
  `${publishedDevice} ${backendKey} ${prepared.configuration.backend.exact}`;

const POINTS = 3;
/** A device with fewer believable rows than its three points and three more to judge them by has no median. */
const FEWEST_CALIBRATED = 2 * POINTS;

/** A dense model, a mixture of experts and one at depth, where the device has them; else what comes nearest. */
function threePoints(group: readonly EvidenceRow[]): readonly EvidenceRow[] {
  const usual = [...group].sort((a, b) => unusualness(a) - unusualness(b) || hashOf(a) - hashOf(b));
  const isMixture = (row: EvidenceRow): boolean => row.prepared.configuration.work.experts !== null;
  const isDeep = (row: EvidenceRow): boolean => row.prepared.configuration.depth > 0;
  const wanted: readonly ((row: EvidenceRow) => boolean)[] = [
    (row) => !isMixture(row) && !isDeep(row),
    (row) => isMixture(row) && !isDeep(row),
    isDeep,
  ];
  const points: EvidenceRow[] = [];
  for (const fits of wanted) {
    const other = usual.filter((row) => !points.includes(row));
    const chosen =
      other.find(fits) ??
      other.find((row) => points.every((point) => point.prepared.modelId !== row.prepared.modelId)) ??
      other[0];
    if (chosen !== undefined) points.push(chosen);
  }
  return points;
}

/** Tests that people run to know a machine come first: pp512 and tg128 (tg32 at depth), in a quantisation of 4 bits or more. */
function unusualness({ prepared, measurement }: EvidenceRow): number {
  const tokens =
    prepared.promptTokens > 0 ? prepared.promptTokens / 512 : (measurement.query.nGen ?? 128) / 128;
  return Math.abs(Math.log2(tokens)) + (prepared.configuration.quantisation.group === 'four-k' ? 0 : 0.5);
}

/** FNV-1a: a choice among equals that depends on nothing but the row. */
function hashOf({ measurement }: EvidenceRow): number {
  let hash = 2166136261;
  for (const letter of String(measurement.query.id)) hash = Math.imul(hash ^ letter.charCodeAt(0), 16777619);
  return hash >>> 0;
}

/**
 * Groups to folds: the largest first, each to the fold with the fewest groups of its kind, the emptiest of these. Left
 * out one by one, a group would leave its kin to learn from; together they would not.
 */
function balancedFolds(
  rows: readonly EvidenceRow[],
  groupOf: (row: EvidenceRow) => string,
  kindOf: (row: EvidenceRow) => string,
): Map<string, number> {
  const groups = [...groupBy(rows, groupOf)].sort(
    ([a, { length: m }], [b, { length: n }]) => n - m || a.localeCompare(b),
  );
  const loads = Array<number>(FOLDS).fill(0);
  const kin = Array.from({ length: FOLDS }, () => new Map<string, number>());
  const folds = new Map<string, number>();
  for (const [group, own] of groups) {
    const kinds = [...new Set(own.map(kindOf))];
    const kinOf = (fold: number): number => kinds.reduce((sum, kind) => sum + (kin[fold]?.get(kind) ?? 0), 0);
    let best = 0;
    for (let fold = 1; fold < FOLDS; fold += 1) {
      const nearer = kinOf(fold) - kinOf(best);
      if (nearer < 0 || (nearer === 0 && (loads[fold] ?? 0) < (loads[best] ?? 0))) best = fold;
    }
    folds.set(group, best);
    loads[best] = (loads[best] ?? 0) + own.length;
    for (const kind of kinds) kin[best]?.set(kind, (kin[best]?.get(kind) ?? 0) + 1);
  }
  return folds;
}

/** Devices of a class, and models of an architecture, are kin. */
export const deviceKind = ({ prepared }: EvidenceRow): string =>
  `${prepared.configuration.device.deviceClass} ${prepared.configuration.backend.family}`;
export const modelKind = ({ prepared }: EvidenceRow): string => prepared.configuration.work.architecture;

function countBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, number> {
  return new Map([...groupBy(items, keyOf)].map(([key, group]) => [key, group.length]));
}
