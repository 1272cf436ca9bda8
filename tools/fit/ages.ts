import { CELLS, groupBy } from '../../src/predict/accuracy.ts';
import { buildKeys, daysBeyond } from '../../src/predict/age.ts';
import { halfWidth, intervalEngine, type Novelty } from '../../src/predict/intervals.ts';
import type { Age, Interval, Parameters } from '../../src/predict/parameters.ts';
import type { Regimes } from './regimes.ts';
import type { EvidenceRow } from './rows.ts';

/**
 * Days on which the measurements are divided, to predict what came later from what came before and the reverse. The
 * regime by time has a day of its own, that its coverage is no copy of what was learned here.
 */
const SPLITS = ['2024-08-01', '2025-08-05', '2025-09-01', '2025-12-01', '2026-01-15'] as const;
const MS_PER_DAY = 86_400_000;

/** Lower ends of the classes of distance: days, a month, a quarter, half a year. */
const FROM_DAYS = [1, 31, 92, 183] as const;
/** Fewer rows give no quantile; a class without takes what the nearer one has. */
const FEWEST_ROWS = 20;

/** What a fit has seen, as the file of its parameters will say it. */
export type Seen = Pick<Parameters, 'knownDevices' | 'knownModels' | 'seenDays'>;

export function seenOf(rows: readonly EvidenceRow[]): Seen {
  const days: Record<string, [number, number]> = {};
  for (const { prepared } of rows) {
    const { configuration } = prepared;
    if (configuration.day === null) continue;
    const day = Math.floor(configuration.day);
    for (const key of buildKeys(configuration)) {
      const [first, last] = days[key] ?? [day, day];
      days[key] = [Math.min(first, day), Math.max(last, day)];
    }
  }
  return {
    knownDevices: [...new Set(rows.map(deviceKey))].sort(),
    knownModels: [...new Set(rows.map((row) => row.prepared.modelId))].sort(),
    seenDays: Object.fromEntries(Object.entries(days).sort(([a], [b]) => a.localeCompare(b))),
  };
}

const deviceKey = ({ prepared }: EvidenceRow): string =>
  `${prepared.configuration.device.id} ${prepared.configuration.backend.family}`;

/** A row that a fit has not seen, and how a prediction would judge its novelty. */
export interface Outsider {
  readonly row: EvidenceRow;
  /** log(predicted / measured) of speeds. */
  readonly tooFast: number;
  readonly novelty: Novelty | 'both-new';
  readonly days: number;
}

/** Rows on the other side of a day, predicted by a fit to this side. */
export function outsiders(regimes: Regimes, isHeldOut: (row: EvidenceRow) => boolean): Outsider[] {
  const seen = seenOf(regimes.rows.filter((row) => !isHeldOut(row)));
  const devices = new Set(seen.knownDevices);
  const models = new Set(seen.knownModels);
  return [...regimes.outside(isHeldOut)].map(([row, residual]) => {
    const isKnownDevice = devices.has(deviceKey(row));
    const isKnownModel = models.has(row.prepared.modelId);
    return {
      row,
      tooFast: -residual,
      novelty: isKnownDevice
        ? isKnownModel
          ? 'known'
          : 'new-model'
        : isKnownModel
          ? 'new-device'
          : 'both-new',
      days: daysBeyond(seen.seenDays, row.prepared.configuration),
    };
  });
}

/** Every split of time in both directions: what a prediction far from its time is worth. */
export function splitInTime(regimes: Regimes): Outsider[] {
  return SPLITS.flatMap((split) => {
    const day = Date.parse(split) / MS_PER_DAY;
    const isLater = ({ prepared }: EvidenceRow): boolean => (prepared.configuration.day ?? day) >= day;
    const isDated = ({ prepared }: EvidenceRow): boolean => prepared.configuration.day !== null;
    return [
      ...outsiders(regimes, (row) => isDated(row) && isLater(row)),
      ...outsiders(regimes, (row) => isDated(row) && !isLater(row)),
    ];
  });
}

/**
 * How much wider intervals have to be by the distance in time, on the side of progress and on the other: as much as lets
 * nine of ten measurements (of known devices; each device weighing alike) lie on the near side of that bound.
 */
export function learnAges(found: readonly Outsider[], intervals: readonly Interval[]): Age[] {
  return CELLS.flatMap((cell) => {
    let last = { onward80: 0, back80: 0, onward90: 0, back90: 0 };
    return FROM_DAYS.flatMap((fromDays, at) => {
      const toDays = FROM_DAYS[at + 1] ?? Number.POSITIVE_INFINITY;
      const own = found.filter(
        ({ row, days, novelty }) =>
          row.cell === cell &&
          row.prepared.configuration.engine === 'llama.cpp' &&
          (novelty === 'known' || novelty === 'new-model') &&
          Math.abs(days) >= fromDays &&
          Math.abs(days) < toDays,
      );
      if (own.length >= FEWEST_ROWS) {
        const excess = (side: 1 | -1, coverage: 80 | 90): number =>
          excessOf(own, intervals, (each) => side * Math.sign(-each.days) * each.tooFast, coverage);
        last = {
          onward80: Math.max(last.onward80, excess(1, 80)),
          back80: Math.max(last.back80, excess(-1, 80)),
          onward90: Math.max(last.onward90, excess(1, 90)),
          back90: Math.max(last.back90, excess(-1, 90)),
        };
      }
      return [{ cell, fromDays, ...last, rows: Math.max(1, own.length) }];
    });
  });
}

/** What has to be added as a variance that the bound on one side holds for its share. */
function excessOf(
  own: readonly Outsider[],
  intervals: readonly Interval[],
  outward: (each: Outsider) => number,
  coverage: 80 | 90,
): number {
  const weighted = [...groupBy(own, ({ row }) => row.publishedDevice).values()].flatMap((group) =>
    group.map((each) => {
      const engine = intervalEngine(each.row.prepared.configuration.engine);
      const half =
        halfWidth({ intervals: [...intervals] }, each.row.intervalCell, engine, each.novelty, coverage) ?? 0;
      const distance = outward(each);
      return {
        needed: distance > half ? Math.sqrt(distance ** 2 - half ** 2) : 0,
        weight: 1 / group.length,
      };
    }),
  );
  // A central interval of 80 % leaves a tenth on either side.
  const share = (1 + coverage / 100) / 2;
  const whole = weighted.reduce((sum, { weight }) => sum + weight, 0);
  let sum = 0;
  for (const { needed, weight } of weighted.sort((a, b) => a.needed - b.needed)) {
    sum += weight;
    if (sum >= share * whole) return Math.round(needed * 1e4) / 1e4;
  }
  return 0;
}
