import type { PublishedPowerSeries } from '../catalog/index.ts';
import {
  checkExtrapolation,
  exponentThrough,
  fitPowerLaw,
  performanceAt,
  powerLevels,
  powerReading,
  scaleByPower,
  type LevelReading,
  type PowerLaw,
  type PowerPrediction,
  type PowerReading,
  type PowerTarget,
} from '../predict/index.ts';
import { formatFraction, formatSignificant, fraction } from '../units/index.ts';

/** The answer to "what would it be at another power, with more units?". */
export type PowerAnswer =
  | {
      /** Three or more power levels were given: the law is fitted. */
      readonly basis: 'fitted';
      readonly target: PowerTarget;
      readonly law: PowerLaw;
      readonly prediction: PowerPrediction;
      readonly falls: readonly Fall[];
      readonly knownErrors: KnownErrors;
    }
  | {
      /** Fewer levels: the exponent is assumed, and the answer is a table over a range of it. */
      readonly basis: 'assumed-exponent';
      readonly target: PowerTarget;
      readonly reason: string;
      /** All readings at the power that is nearest to the target. */
      readonly from: LevelReading;
      /** The exponent that two levels give; null where there is one level. It stands in the table as well. */
      readonly exponentThroughLevels: number | null;
      readonly table: readonly { readonly exponent: number; readonly performance: number }[];
      readonly falls: readonly Fall[];
      readonly knownErrors: KnownErrors;
    };

/** A power at which less was reached than at the lower one before it: no power law does that. */
export interface Fall {
  readonly from: LevelReading;
  readonly to: LevelReading;
}

/** How far extrapolations were off where the truth has been published: 0.05 is 5 % too high. */
export interface KnownErrors {
  readonly lowest: number;
  readonly highest: number;
  readonly series: number;
}

/**
 * The exponents that the table covers: 0.5 to 0.9, as the published estimate for a 40-unit chip used them; measured
 * exponents on the same family reach down to 0.2 to 0.6, which the known errors show.
 */
const ASSUMED_EXPONENTS = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9] as const;

/**
 * Answers from readings at one or more powers.
 * @param readings - at least one; where the law cannot be fitted, those at the power nearest to the target are scaled.
 * @throws RangeError without any reading.
 */
export function answerPower(
  readings: readonly PowerReading[],
  target: PowerTarget,
  published: readonly PublishedPowerSeries[],
): PowerAnswer {
  const knownErrors = errorsOf(published);
  const levels = powerLevels(readings);
  const falls = fallsOf(levels);
  const result = fitPowerLaw(readings);
  if (result.ok) {
    const prediction = performanceAt(result.law, target);
    return { basis: 'fitted', target, law: result.law, prediction, falls, knownErrors };
  }
  const distance = ({ power }: PowerReading): number => Math.abs(Math.log(power / target.power));
  const from = levels.toSorted((a, b) => distance(a) - distance(b))[0];
  if (from === undefined) throw new RangeError('an answer needs at least one reading');
  const exponentThroughLevels = exponentThrough(levels);
  const exponents = [
    ...(exponentThroughLevels === null ? [] : [exponentThroughLevels]),
    ...ASSUMED_EXPONENTS,
  ];
  const table = exponents.map((exponent) => ({
    exponent,
    performance: scaleByPower(from, exponent, target),
  }));
  const { reason } = result;
  return {
    basis: 'assumed-exponent',
    target,
    reason,
    from,
    exponentThroughLevels,
    table: table.toSorted((a, b) => a.exponent - b.exponent),
    falls,
    knownErrors,
  };
}

function fallsOf(levels: readonly LevelReading[]): Fall[] {
  return levels.flatMap((to, index) => {
    const from = levels[index - 1];
    return from !== undefined && to.performance < from.performance ? [{ from, to }] : [];
  });
}

function errorsOf(published: readonly PublishedPowerSeries[]): KnownErrors {
  const errors = published.flatMap((series) => {
    const check = checkExtrapolation(series.levels.map(powerReading));
    return check === null ? [] : [check.relativeError];
  });
  return { lowest: Math.min(...errors), highest: Math.max(...errors), series: errors.length };
}

/** The answer as lines of text. */
export function powerAnswerLines(answer: PowerAnswer): string[] {
  const { target } = answer;
  const more =
    target.unitGain === 1 ? '' : ` with ${formatSignificant(target.unitGain)} times as much from more units`;
  const lines: string[] = [];
  if (answer.basis === 'fitted') {
    const { exponent, exponentInterval } = answer.law;
    const { performance, interval, extrapolated } = answer.prediction;
    lines.push(
      `Perf = c x P^k with k = ${exponent.toFixed(2)} (95 %: ${exponentInterval.low.toFixed(2)} to ${exponentInterval.high.toFixed(2)}), from ${answer.law.readings.length} readings`,
      `at ${target.power} W${more}: ${formatSignificant(performance)} (95 %: ${formatSignificant(interval.low)} to ${formatSignificant(interval.high)})`,
    );
    if (extrapolated) lines.push('this lies outside the powers that were measured');
  } else {
    const { from, exponentThroughLevels } = answer;
    const mean = from.count === 1 ? '' : `, the mean of ${from.count} readings,`;
    lines.push(
      `k is assumed: ${answer.reason}`,
      `from ${formatSignificant(from.performance)} at ${from.power} W${mean} to ${target.power} W${more}:`,
      ...answer.table.map(({ exponent, performance }) =>
        exponent === exponentThroughLevels
          ? `  k = ${exponent.toFixed(2)}: ${formatSignificant(performance)} (k through the two levels)`
          : `  k = ${exponent.toFixed(1)}: ${formatSignificant(performance)}`,
      ),
    );
  }
  for (const { from, to } of answer.falls) {
    lines.push(
      `warning: ${formatSignificant(to.performance)} at ${to.power} W is less than ${formatSignificant(from.performance)} at ${from.power} W; more power does not make a chip slower, so something else differed (heat, clocks, another setting): measure again before you trust this`,
    );
  }
  const { lowest, highest, series } = answer.knownErrors;
  lines.push(
    `where the truth is known (${series} published series at 55, 85 and 120 W), extrapolating the third level from two was ${signed(lowest)} to ${signed(highest)} off: performance gains less and less from power`,
  );
  return lines;
}

function signed(error: number): string {
  return `${error < 0 ? '-' : '+'}${formatFraction(fraction(Math.abs(error)))}`;
}
