import { seconds, type Seconds } from '../units/index.ts';
import type { MeasurementRecord } from './record.ts';
import { summarise } from './summary.ts';

/** A time with its 80 % interval. */
export interface TimeEstimate {
  readonly value: Seconds;
  readonly low: Seconds;
  readonly high: Seconds;
}

/**
 * Time to first token of a long prompt on an empty cache, from a prompt of `p` tokens timed at depth 0 and at depth
 * `d`. The prompt runs in pieces of `p` tokens; what a piece costs grows linearly with the tokens before it, because
 * full attention reads them all: t(x) = t(0) + s x. Summed over the m = n / p pieces: m t(0) + s p m (m - 1) / 2.
 * The two intervals are independent and are added in quadrature.
 * @param atStart - a measured pp record at depth 0.
 * @param atDepth - the same test at a depth.
 * @returns null when either has no statistics or the tests do not belong together.
 */
export function timeToFirstToken(
  atStart: MeasurementRecord,
  atDepth: MeasurementRecord,
  promptTokens: number,
): TimeEstimate | null {
  const piece = atStart.test.promptTokens;
  const depth = atDepth.test.depthTokens;
  if (piece === 0 || depth === 0 || atDepth.test.promptTokens !== piece || atStart.test.depthTokens !== 0)
    return null;
  const start = summarise(atStart)?.secondsPerRepetition;
  const deep = summarise(atDepth)?.secondsPerRepetition;
  const startRange = start?.interval80;
  const deepRange = deep?.interval80;
  if (start === undefined || deep === undefined || !startRange || !deepRange) return null;
  const pieces = promptTokens / piece;
  // T = a t(0) + b t(d), with the slope s = (t(d) - t(0)) / d put in.
  const deepWeight = (piece * pieces * (pieces - 1)) / 2 / depth;
  const startWeight = pieces - deepWeight;
  // Noise can make the deeper piece look cheaper than the first; it never is.
  const value = startWeight * start.value + deepWeight * Math.max(deep.value, start.value);
  const half = (range: { low: number; high: number }): number => (range.high - range.low) / 2;
  const spread = Math.hypot(startWeight * half(startRange), deepWeight * half(deepRange));
  // No piece costs less than the first.
  const floor = pieces * startRange.low;
  return {
    value: seconds(value),
    low: seconds(Math.max(value - spread, floor)),
    high: seconds(value + spread),
  };
}
