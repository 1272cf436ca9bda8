import { CELLS } from './accuracy.ts';
import type { Metric } from './effects.ts';
import type { Interval, Parameters } from './parameters.ts';
import type { EngineName } from './configuration.ts';

export type Novelty = Interval['novelty'];
export type IntervalEngine = Interval['engine'];

/** Which engines' residuals an interval is learned from: those of one habit. */
export function intervalEngine(engine: EngineName): IntervalEngine {
  return engine;
}

/**
 * Backends change their kernels several times between one token and this many, and errors there are 1.4 to 4 times as
 * large as above: prompts in such batches have intervals of their own. At depth nobody measures them.
 */
const LARGEST_SMALL_BATCH = 64;
const SMALL_BATCHES = 'pp d0 small';

/** The kinds of tests that have an interval each: the cells of the ledger, and prompts in small batches apart. */
export const INTERVAL_CELLS = [...CELLS, SMALL_BATCHES] as const;
export type IntervalCell = (typeof INTERVAL_CELLS)[number];

/** @param batch - tokens of the prompt that are computed at once; of no matter for generation. */
export function intervalCell(metric: Metric, depth: number, batch: number): IntervalCell {
  if (metric === 'generation') return depth > 0 ? 'tg d>0' : 'tg d0';
  if (depth > 0) return 'pp d>0';
  return batch > LARGEST_SMALL_BATCH ? 'pp d0' : SMALL_BATCHES;
}

/** The cell of the ledger that an interval belongs to. */
export const ledgerCell = (cell: IntervalCell): (typeof CELLS)[number] =>
  cell === SMALL_BATCHES ? 'pp d0' : cell;

/** Both the device and the model are new: the two uncertainties add as variances, near enough, to this much more. */
const BOTH_NEW = 1.15;

/** The half width, in log units, of the interval that covers 80 or 90 %; null when the fit knows nothing of the kind. */
export function halfWidth(
  parameters: Pick<Parameters, 'intervals'>,
  cell: string,
  engine: IntervalEngine,
  novelty: Novelty | 'both-new',
  coverage: 80 | 90,
): number | null {
  const of = (kind: Novelty, from: IntervalEngine): number | null => {
    const interval = parameters.intervals.find(
      (each) => each.cell === cell && each.novelty === kind && each.engine === from,
    );
    return interval === undefined ? null : coverage === 80 ? interval.q80 : interval.q90;
  };
  const find = (kind: Novelty): number | null => of(kind, engine) ?? of(kind, 'llama.cpp');
  if (novelty !== 'both-new') return find(novelty);
  const device = find('new-device');
  const model = find('new-model');
  return device === null || model === null ? null : BOTH_NEW * Math.max(device, model);
}
