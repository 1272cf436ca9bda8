import type { Interval, Parameters } from './parameters.ts';
import type { EngineName } from './configuration.ts';

export type Novelty = Interval['novelty'];
export type IntervalEngine = Interval['engine'];

/** Which engines' residuals an interval is learned from: those of one habit. */
export function intervalEngine(engine: EngineName): IntervalEngine {
  return engine;
}

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
