import type { Interval } from '../stats/index.ts';
import { watts, type Watts } from '../units/index.ts';

/** The performance of one workload at one sustained power. */
export interface PowerReading {
  readonly power: Watts;
  /** In any unit that grows with speed: FLOP/s, tokens/s, points. */
  readonly performance: number;
}

/** Performance = coefficient x power ^ exponent, as found from readings. */
export interface PowerLaw {
  readonly coefficient: number;
  readonly exponent: number;
  /** Where the exponent lies with 95 % confidence; wide with three levels, which leave one degree of freedom. */
  readonly exponentInterval: Interval;
  readonly readings: readonly PowerReading[];
}

export type PowerLawResult =
  | { readonly ok: true; readonly law: PowerLaw }
  | { readonly ok: false; readonly reason: string };

/** Two levels give a line through two points and say nothing about how well the law holds. */
const FEWEST_LEVELS = 3;
const CONFIDENCE = 0.95;

/**
 * The 97.5 % quantiles of Student's t distribution for 1, 2, ... 30 degrees of freedom
 * (NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2). Beyond 30 the last is kept, which is cautious.
 */
const STUDENT_T = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
  2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
] as const;

/**
 * Fits Perf = c x P^k by least squares of the logarithms, with a Student interval for k.
 * @returns the reason when there are fewer than three power levels, or a reading is not positive.
 */
export function fitPowerLaw(readings: readonly PowerReading[]): PowerLawResult {
  const usable = readings.every(({ power, performance }) => power > 0 && performance > 0);
  if (!usable) return { ok: false, reason: 'a power or a performance is not above zero' };
  const levels = new Set(readings.map(({ power }) => power)).size;
  if (levels < FEWEST_LEVELS) {
    return {
      ok: false,
      reason: `the law needs ${FEWEST_LEVELS} or more power levels, and there ${levels === 1 ? 'is' : 'are'} ${levels}`,
    };
  }
  const line = logLine(readings);
  return {
    ok: true,
    law: {
      coefficient: Math.exp(line.intercept),
      exponent: line.slope,
      exponentInterval: around(line.slope, line.t * line.slopeError),
      readings,
    },
  };
}

/** What to extrapolate to. */
export interface PowerTarget {
  readonly power: Watts;
  /** By how much more units make it faster at the same power: 1.2 for 20 %. 1 for the same chip. */
  readonly unitGain: number;
}

/** Performance at another power, and its prediction interval: the scatter of single readings is part of it. */
export interface PowerPrediction {
  readonly performance: number;
  readonly interval: Interval;
  /** The target lies outside the powers that were measured: the law itself may not hold there. */
  readonly extrapolated: boolean;
}

/** The performance that the law gives at a power, times the gain by more units. */
export function performanceAt(law: PowerLaw, { power, unitGain }: PowerTarget): PowerPrediction {
  const line = logLine(law.readings);
  const x = Math.log(power);
  const center = line.intercept + line.slope * x;
  const error =
    line.residualDeviation * Math.sqrt(1 + 1 / law.readings.length + (x - line.meanX) ** 2 / line.spreadX);
  const { low, high } = around(center, line.t * error);
  const powers = law.readings.map((reading) => reading.power);
  return {
    performance: unitGain * Math.exp(center),
    interval: { low: unitGain * Math.exp(low), high: unitGain * Math.exp(high), confidence: CONFIDENCE },
    extrapolated: power < Math.min(...powers) || power > Math.max(...powers),
  };
}

/** Scales a single reading with an assumed exponent, where nothing better than one power level was measured. */
export function scaleByPower(reading: PowerReading, exponent: number, target: PowerTarget): number {
  return reading.performance * target.unitGain * (target.power / reading.power) ** exponent;
}

/** Readings at one power as one reading: their geometric mean, which is where least squares of the logarithms puts it. */
export interface LevelReading extends PowerReading {
  /** How many readings it is the mean of. */
  readonly count: number;
}

/** The readings by power, in ascending order, those at the same power together. */
export function powerLevels(readings: readonly PowerReading[]): LevelReading[] {
  const logarithms = new Map<Watts, number[]>();
  for (const { power, performance } of readings) {
    logarithms.set(power, [...(logarithms.get(power) ?? []), Math.log(performance)]);
  }
  return [...logarithms]
    .map(([power, logs]) => ({
      power,
      performance: Math.exp(logs.reduce((sum, log) => sum + log, 0) / logs.length),
      count: logs.length,
    }))
    .toSorted((a, b) => a.power - b.power);
}

/** The exponent of the law through two levels, which it fits whatever they are; null for any other number of levels. */
export function exponentThrough(levels: readonly PowerReading[]): number | null {
  return levels.length === 2 ? logLine(levels).slope : null;
}

/** How far an extrapolation was off where the truth is known; 0.05 is 5 % too high. */
export interface ExtrapolationCheck {
  readonly from: readonly PowerReading[];
  readonly to: PowerReading;
  readonly predicted: number;
  readonly relativeError: number;
}

/** Extrapolates the highest level of a series from its lower ones, and compares it with what was measured there. */
export function checkExtrapolation(series: readonly PowerReading[]): ExtrapolationCheck | null {
  const sorted = series.toSorted((a, b) => a.power - b.power);
  const to = sorted.at(-1);
  const from = sorted.slice(0, -1);
  if (to === undefined || new Set(from.map(({ power }) => power)).size < 2) return null;
  const { intercept, slope } = logLine(from);
  const predicted = Math.exp(intercept + slope * Math.log(to.power));
  return { from, to, predicted, relativeError: predicted / to.performance - 1 };
}

interface LogLine {
  readonly intercept: number;
  readonly slope: number;
  readonly slopeError: number;
  readonly residualDeviation: number;
  readonly meanX: number;
  /** The sum of squared distances of the powers' logarithms from their mean. */
  readonly spreadX: number;
  readonly t: number;
}

/** The least-squares line through the logarithms; errors are NaN with two readings, which leave no freedom. */
function logLine(readings: readonly PowerReading[]): LogLine {
  const points = readings.map(({ power, performance }) => ({ x: Math.log(power), y: Math.log(performance) }));
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const meanX = mean(points.map(({ x }) => x));
  const meanY = mean(points.map(({ y }) => y));
  const spreadX = points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0);
  const slope = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0) / spreadX;
  const intercept = meanY - slope * meanX;
  const freedom = points.length - 2;
  const squares = points.reduce((sum, { x, y }) => sum + (y - intercept - slope * x) ** 2, 0);
  const residualDeviation = Math.sqrt(squares / freedom);
  return {
    intercept,
    slope,
    slopeError: residualDeviation / Math.sqrt(spreadX),
    residualDeviation,
    meanX,
    spreadX,
    t: STUDENT_T[Math.min(freedom, STUDENT_T.length) - 1] ?? Number.NaN,
  };
}

function around(center: number, distance: number): Interval {
  return { low: center - distance, high: center + distance, confidence: CONFIDENCE };
}

/** A reading of a published series. */
export function powerReading(level: { readonly watts: number; readonly value: number }): PowerReading {
  return { power: watts(level.watts), performance: level.value };
}
