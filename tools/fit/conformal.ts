import { groupBy } from '../../src/predict/accuracy.ts';
import {
  INTERVAL_CELLS,
  intervalEngine,
  type IntervalEngine,
  type Novelty,
} from '../../src/predict/intervals.ts';
import type { Interval } from '../../src/predict/parameters.ts';
import type { Residuals } from './regimes.ts';
import type { EvidenceRow } from './rows.ts';

/** Fewer rows give no quantile at 90 %. */
const FEWEST_ROWS = 10;

/**
 * Half widths from cross-validated residuals: in every cell the quantiles of |log(predicted / measured)|, with each
 * device weighing alike, so that the mean coverage over devices is what the interval says.
 */
export function conformalIntervals(residuals: Residuals, novelty: Novelty): Interval[] {
  const engines: readonly IntervalEngine[] = ['llama.cpp', 'ik_llama.cpp', 'localscore'];
  return engines.flatMap((engine) =>
    INTERVAL_CELLS.flatMap((cell) => {
      const own = [...residuals].filter(
        ([row]) => row.intervalCell === cell && intervalEngine(row.prepared.configuration.engine) === engine,
      );
      if (own.length < FEWEST_ROWS) return [];
      const weighted = deviceWeighted(own);
      return [
        {
          cell,
          engine,
          novelty,
          q80: rounded(quantileOf(weighted, 0.8)),
          q90: rounded(quantileOf(weighted, 0.9)),
          rows: own.length,
        },
      ];
    }),
  );
}

interface Weighted {
  readonly size: number;
  readonly weight: number;
}

function deviceWeighted(own: readonly (readonly [EvidenceRow, number])[]): Weighted[] {
  const groups = groupBy(own, ([row]) => row.publishedDevice);
  return [...groups.values()].flatMap((group) =>
    group.map(([, residual]) => ({
      size: Math.abs(residual),
      weight: deviceWeight(group.length) / group.length,
    })),
  );
}

/** A device with one row says less than one with two; one with thousands says no more. */
const SINGLE_ROW_WEIGHT = 0.3;
const deviceWeight = (rows: number): number => (rows > 1 ? 1 : SINGLE_ROW_WEIGHT);

function quantileOf(values: readonly Weighted[], share: number): number {
  const sorted = [...values].sort((a, b) => a.size - b.size);
  const whole = sorted.reduce((sum, { weight }) => sum + weight, 0);
  let sum = 0;
  for (const { size, weight } of sorted) {
    sum += weight;
    if (sum >= share * whole) return size;
  }
  return sorted.at(-1)?.size ?? Number.NaN;
}

const rounded = (value: number): number => Math.round(value * 1e4) / 1e4;
