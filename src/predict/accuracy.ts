/** One prediction beside what was measured. */
export interface Scored {
  readonly device: string;
  readonly cell: string;
  readonly predicted: number;
  readonly measured: number;
  readonly low: number | null;
  readonly high: number | null;
}

/** The errors of one cell; percentages of the measured value. */
export interface CellScore {
  readonly cell: string;
  readonly rows: number;
  readonly medianPercent: number;
  readonly p90Percent: number;
  readonly coveragePercent: number | null;
  readonly width: number | null;
  readonly devices: number;
  /** Means of the figures of each device. */
  readonly macroMedianPercent: number;
  readonly macroP90Percent: number;
  readonly macroCoveragePercent: number | null;
}

export const CELLS = ['tg d0', 'tg d>0', 'pp d0', 'pp d>0'] as const;
/** A device with fewer rows in a cell has no median worth a mean. */
const FEWEST_ROWS = 2;

/** The quantile of values by linear interpolation, as numpy's default. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const low = Math.floor(at);
  const a = sorted[low] ?? Number.NaN;
  const b = sorted[Math.min(low + 1, sorted.length - 1)] ?? Number.NaN;
  return a + (b - a) * (at - low);
}

/** Scores predictions cell by cell: over all rows, and as the mean over devices. */
export function scoreCells(rows: readonly Scored[]): CellScore[] {
  return CELLS.flatMap((cell) => {
    const own = rows.filter((row) => row.cell === cell);
    if (own.length === 0) return [];
    const byDevice = groupBy(own, (row) => row.device);
    const counted = [...byDevice.values()].filter((group) => group.length >= FEWEST_ROWS);
    const overDevices = (figure: (group: readonly Scored[]) => number): number =>
      counted.reduce((sum, group) => sum + figure(group), 0) / counted.length;
    const hasIntervals = own.every((row) => row.low !== null && row.high !== null);
    return [
      {
        cell,
        rows: own.length,
        medianPercent: quantile(own.map(errorPercent), 0.5),
        p90Percent: quantile(own.map(errorPercent), 0.9),
        coveragePercent: hasIntervals ? coveragePercent(own) : null,
        width: hasIntervals
          ? quantile(
              own.map((row) => (row.high ?? 1) / (row.low ?? 1)),
              0.5,
            )
          : null,
        devices: counted.length,
        macroMedianPercent: overDevices((group) => quantile(group.map(errorPercent), 0.5)),
        macroP90Percent: overDevices((group) => quantile(group.map(errorPercent), 0.9)),
        macroCoveragePercent: hasIntervals ? overDevices(coveragePercent) : null,
      },
    ];
  });
}

const errorPercent = (row: Scored): number => 100 * Math.abs(row.predicted / row.measured - 1);

function coveragePercent(rows: readonly Scored[]): number {
  const inside = rows.filter((row) => (row.low ?? 0) <= row.measured && row.measured <= (row.high ?? 0));
  return (100 * inside.length) / rows.length;
}

/** Items by key, in the order of their first appearance. */
export function groupBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
