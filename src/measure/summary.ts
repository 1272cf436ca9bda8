import {
  bootstrapInterval,
  median,
  medianInterval,
  outliers,
  pairedBootstrapInterval,
  sortSamples,
  type SortedSamples,
} from '../stats/index.ts';
import {
  nanoseconds,
  seconds,
  tokensPerSecond,
  type Nanoseconds,
  type Seconds,
  type TokensPerSecond,
} from '../units/index.ts';
import { extrapolateByIndex, fitLayerLine, readingOf, type SampledRun } from './layer-extrapolation.ts';
import type { MeasurementRecord } from './record.ts';

/**
 * Relative standard deviation of a whole model's time around the value extrapolated from some of its layers, beyond
 * the noise of the repetitions. With whole and samples timed in turn the log ratio of the two scattered by 0.015 to
 * 0.03 with a median within 0.01 (docs/fidelity.md); samples of fewer layers than `bench` chooses, as in a quick
 * check, reach further, and the value covers those too.
 */
export const EXTRAPOLATION_ERROR = 0.035;

/** Standard deviations on each side that hold a share of a normal distribution. */
const TWO_SIDED_NORMAL = { 0.8: 1.2816, 0.95: 1.96 } as const;
type Confidence = keyof typeof TWO_SIDED_NORMAL;

export interface Range<Quantity> {
  readonly low: Quantity;
  readonly high: Quantity;
}

/** A value with its 80 % and 95 % intervals; null: a single repetition says nothing about its noise. */
export interface Estimate<Quantity> {
  readonly value: Quantity;
  readonly interval80: Range<Quantity> | null;
  readonly interval95: Range<Quantity> | null;
}

/** The straight line from the layers that were run to the whole model. */
export interface Extrapolation {
  /** Layers of each run, ascending. */
  readonly layerCounts: readonly number[];
  readonly totalLayers: number;
  readonly secondsPerLayer: Seconds;
  /** What a repetition costs besides the layers; noise can make it slightly negative. */
  readonly secondsBesidesLayers: Seconds;
}

/** The statistics of one measured record. */
export interface Summary {
  readonly method: 'direct' | 'extrapolated';
  /** Median time of one repetition of the whole model. */
  readonly secondsPerRepetition: Estimate<Seconds>;
  /** Tokens of one repetition, prompt and generated, by that time. */
  readonly tokensPerSecond: Estimate<TokensPerSecond>;
  /** Repetitions of the whole; of layer-sampled records those that every run has. */
  readonly samples: number;
  /** Repetitions that lie far from the others (stats' `outliers`); they stay in the median. */
  readonly outliersNanoseconds: readonly Nanoseconds[];
  readonly extrapolation: Extrapolation | null;
}

/** The statistics of a record, or the reason, as a clause, why there are none. */
export type SummaryOrReason =
  | { readonly summary: Summary; readonly reason: null }
  | { readonly summary: null; readonly reason: string };

/** Statistics of a record, computed anew on every reading; null for failures and for records that make no number. */
export function summarise(record: MeasurementRecord): Summary | null {
  return summariseOrExplain(record).summary;
}

/** {@link summarise} with the reason where there is no number. */
export function summariseOrExplain(record: MeasurementRecord): SummaryOrReason {
  const tokens = record.test.promptTokens + record.test.generatedTokens;
  if (tokens === 0) return without('the test has no tokens');
  const reading = readingOf(record);
  if (reading.method === 'none') return without(reading.reason);
  if (reading.method === 'extrapolated') return summariseSampled(reading.runs, reading.totalLayers, tokens);
  return { summary: summariseDirect(reading.samplesNanoseconds, tokens), reason: null };
}

/**
 * The repetitions of the whole model: as measured, or extrapolated from the runs' repetitions of equal index, for
 * llama-bench's schema. Whole nanoseconds; null where {@link summariseOrExplain} gives a reason.
 */
export function fullSamplesNanoseconds(record: MeasurementRecord): Nanoseconds[] | null {
  if (summarise(record) === null) return null;
  const reading = readingOf(record);
  if (reading.method === 'none') return null;
  const samples =
    reading.method === 'direct'
      ? reading.samplesNanoseconds
      : extrapolateByIndex(reading.runs, reading.totalLayers);
  return samples.map(wholeNanoseconds);
}

const without = (reason: string): SummaryOrReason => ({ summary: null, reason });
const wholeNanoseconds = (value: number): Nanoseconds => nanoseconds(Math.max(1, Math.round(value)));

function summariseDirect(samples: readonly number[], tokens: number): Summary {
  const value = median(sortSamples(samples));
  const range = (confidence: Confidence): Range<number> | null =>
    samples.length < 2 ? null : medianInterval(samples, confidence);
  return {
    method: 'direct',
    ...estimates(value, range(0.8), range(0.95), tokens),
    samples: samples.length,
    outliersNanoseconds: outliers(samples).map(nanoseconds),
    extrapolation: null,
  };
}

function summariseSampled(runs: readonly SampledRun[], totalLayers: number, tokens: number): SummaryOrReason {
  const layerCounts = runs.map((run) => run.layers);
  const groups = runs.map((run) => run.samplesNanoseconds);
  const lineOf = (samples: readonly SortedSamples[]): ReturnType<typeof fitLayerLine> =>
    fitLayerLine(layerCounts, samples.map(median));
  const line = lineOf(groups.map((group) => sortSamples(group)));
  const value = line.at(totalLayers);
  const counts = layerCounts.join(' and ');
  if (line.perLayer <= 0 || value <= 0) {
    return without(
      `the runs with ${counts} layers show no cost per layer above their noise; measure again on a quiet machine or with more layers`,
    );
  }
  const whole = extrapolateByIndex(runs, totalLayers);
  const noise = (confidence: Confidence): Range<number> => {
    const paired = new Set(groups.map((group) => group.length)).size === 1;
    const bootstrap = paired ? pairedBootstrapInterval : bootstrapInterval;
    return bootstrap(groups, (samples) => lineOf(samples).at(totalLayers), confidence);
  };
  const ranges = whole.length < 2 ? null : { at80: noise(0.8), at95: noise(0.95) };
  if (whole.some((time) => time <= 0) || (ranges !== null && ranges.at95.low <= 0)) {
    return without(
      `the repetitions with ${counts} layers scatter more than a layer costs; measure again on a quiet machine or with more layers`,
    );
  }
  return {
    summary: {
      method: 'extrapolated',
      ...estimates(
        value,
        ranges === null ? null : widen(value, ranges.at80, 0.8),
        ranges === null ? null : widen(value, ranges.at95, 0.95),
        tokens,
      ),
      samples: whole.length,
      outliersNanoseconds: outliers(whole).map(wholeNanoseconds),
      extrapolation: {
        layerCounts,
        totalLayers,
        secondsPerLayer: seconds(line.perLayer / 1e9),
        secondsBesidesLayers: seconds(line.besidesLayers / 1e9),
      },
    },
    reason: null,
  };
}

/** Adds the extrapolation's own error to the noise, side by side, in quadrature on the log scale. */
function widen(value: number, noise: Range<number>, confidence: Confidence): Range<number> {
  const own = TWO_SIDED_NORMAL[confidence] * EXTRAPOLATION_ERROR;
  const below = Math.hypot(Math.max(0, Math.log(value / noise.low)), own);
  const above = Math.hypot(Math.max(0, Math.log(noise.high / value)), own);
  return { low: value * Math.exp(-below), high: value * Math.exp(above) };
}

function estimates(
  nanos: number,
  range80: Range<number> | null,
  range95: Range<number> | null,
  tokens: number,
): Pick<Summary, 'secondsPerRepetition' | 'tokensPerSecond'> {
  const time = (value: number): Seconds => seconds(value / 1e9);
  const rate = (value: number): TokensPerSecond => tokensPerSecond((tokens * 1e9) / value);
  const times = (range: Range<number> | null): Range<Seconds> | null =>
    range === null ? null : { low: time(range.low), high: time(range.high) };
  const rates = (range: Range<number> | null): Range<TokensPerSecond> | null =>
    range === null ? null : { low: rate(range.high), high: rate(range.low) };
  return {
    secondsPerRepetition: { value: time(nanos), interval80: times(range80), interval95: times(range95) },
    tokensPerSecond: { value: rate(nanos), interval80: rates(range80), interval95: rates(range95) },
  };
}
