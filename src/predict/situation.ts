import { seconds, tokensPerSecond, type Seconds, type TokensPerSecond } from '../units/index.ts';
import type { Configuration } from './configuration.ts';
import type { Roofs } from './device.ts';
import { TERM_NAMES, type Metric } from './effects.ts';
import { intervalCell, type IntervalCell } from './intervals.ts';
import { FULL_BATCH, MEASURED_BATCH, measuredUnits } from './measured-rates.ts';
import type { Place } from './place.ts';
import { generationTerms, promptTerms, roofsFor, UNBOUNDED } from './terms.ts';

/**
 * Where a prediction comes from: the machine's own points, the rates of single products that were measured on it,
 * others' measurements of the device, its datasheet, or, for a model that GPU and processor share, the sum of what is
 * known of both, which no measurement has corrected.
 */
export type Basis = 'calibrated' | 'measured-ceilings' | 'measured-elsewhere' | 'datasheet' | 'physics';

/** A speed with its interval and its basis. */
export interface Estimate {
  readonly tokensPerSecond: TokensPerSecond;
  /** The central interval that contains four measurements of five. */
  readonly low: TokensPerSecond;
  readonly high: TokensPerSecond;
  /** The same for nine of ten. */
  readonly low90: TokensPerSecond;
  readonly high90: TokensPerSecond;
  readonly basis: Basis;
  /** Nothing is faster, whatever the software: the bytes at the full bandwidth, the products at the full peak. */
  readonly roofTokensPerSecond: TokensPerSecond;
  /** Seconds of one token, or of the whole prompt. */
  readonly seconds: Seconds;
}

/** A part of the predicted time. */
export interface PredictedTerm {
  readonly name: string;
  /** Where it arises: on the device, on the processor that keeps a part of the model, or between them. */
  readonly on: 'device' | 'host' | 'link';
  readonly seconds: Seconds;
  /** The least that the device's roof allows; null for costs that no roof bounds. */
  readonly roofSeconds: Seconds | null;
}

/** An estimate with the terms that make it up. */
export interface Prediction extends Estimate {
  readonly terms: readonly PredictedTerm[];
}

/** What is asked of a model on a device. */
export type PredictedTest =
  | { readonly metric: 'generation'; readonly context: number; readonly sequences?: number }
  | { readonly metric: 'prompt'; readonly tokens: number };

/** How far measurements lie from predictions, as factors. */
export interface Widths {
  readonly up80: number;
  readonly down80: number;
  readonly up90: number;
  readonly down90: number;
}

/** The widths for every kind of test; null: the fit knows none. */
export type CellWidths = Readonly<Record<IntervalCell, Widths | null>>;

/** Terms that stand under the same roof and share it: their times at the roof add up. */
const MEMORY_TERMS: ReadonlySet<string> = new Set(['dense', 'experts', 'cache', 'stream']);
const COMPUTE_TERMS: ReadonlySet<string> = new Set(['matmul', 'expert-matmul', 'arithmetic']);

const placesOf = (terms: ReadonlySet<string>): Readonly<Record<Metric, readonly number[]>> => {
  const among = (metric: Metric): readonly number[] =>
    TERM_NAMES[metric].flatMap((name, term) => (terms.has(name) ? [term] : []));
  return { generation: among('generation'), prompt: among('prompt') };
};
const MEMORY = placesOf(MEMORY_TERMS);
const COMPUTE = placesOf(COMPUTE_TERMS);

/**
 * A model on a device in one setting. What does not depend on the depth is worked out once, so that a table of many
 * depths costs little more than one entry; a single prediction goes the same way.
 */
export class Situation {
  readonly configuration: Configuration;
  readonly roofs: Roofs;
  readonly #place: Place;
  readonly #basis: Basis;
  readonly #widths: CellWidths;
  readonly #last: Partial<Record<Metric, { readonly tokens: number; readonly factors: readonly number[] }>> =
    {};
  readonly #scratch: Readonly<Record<Metric, Float64Array>>;

  constructor(
    place: Place,
    configuration: Configuration,
    widths: CellWidths,
    scratch: Readonly<Record<Metric, Float64Array>>,
  ) {
    this.configuration = configuration;
    this.roofs = roofsFor(configuration);
    this.#place = place;
    this.#basis = basisOf(place, configuration);
    this.#widths = widths;
    this.#scratch = scratch;
  }

  /** Predicts a speed. @param depth - tokens in the cache before the test. */
  estimate(test: PredictedTest, depth: number = this.configuration.depth): Estimate {
    const { metric } = test;
    const atRoof = this.timesAtRoof(test, depth, this.#scratch[metric]);
    const factors = this.#factors(test);
    let sum = 0;
    for (let term = 0; term < factors.length; term += 1) sum += timeOf(atRoof, factors, term);
    const tokens = test.metric === 'prompt' ? test.tokens : (test.sequences ?? 1);
    const least = roofSeconds(metric, atRoof);
    // The costs of a measured device are no multiples of its roof, so that the roof has to be held here.
    const total = this.configuration.device.measured === undefined ? sum : Math.max(sum, least);
    const speed = tokens / total;
    const roof = tokens / least;
    const batch = test.metric === 'prompt' ? Math.min(test.tokens, this.configuration.ubatch) : 0;
    const widths = this.#widths[intervalCell(metric, depth, batch)];
    if (widths === null) {
      throw new RangeError(`The parameters have no interval for ${metric} at depth ${depth}.`);
    }
    const { up80, down80, up90, down90 } = widths;
    return {
      tokensPerSecond: tokensPerSecond(speed),
      low: tokensPerSecond(speed * down80),
      high: tokensPerSecond(Math.min(roof, speed * up80)),
      low90: tokensPerSecond(speed * down90),
      high90: tokensPerSecond(Math.min(roof, speed * up90)),
      basis: this.#basis,
      roofTokensPerSecond: tokensPerSecond(roof),
      seconds: seconds(total),
    };
  }

  /** Predicts a speed and says what it is made of. */
  predict(test: PredictedTest, depth: number = this.configuration.depth): Prediction {
    const estimate = this.estimate(test, depth);
    const atRoof = this.timesAtRoof(test, depth, this.#scratch[test.metric]);
    const factors = this.#factors(test);
    return {
      ...estimate,
      terms: TERM_NAMES[test.metric].map((name, term) => {
        const time = timeOf(atRoof, factors, term);
        const roof = seconds(Math.min(atRoof[term] ?? 0, time));
        return { name, on: 'device', seconds: seconds(time), roofSeconds: UNBOUNDED.has(name) ? null : roof };
      }),
    };
  }

  /** Times of all terms at the roof. @param into - where they are written. */
  timesAtRoof(test: PredictedTest, depth: number, into?: Float64Array): Float64Array {
    return test.metric === 'prompt'
      ? promptTerms(this.configuration, test.tokens, this.roofs, depth, into)
      : generationTerms(this.configuration, test.context, test.sequences ?? 1, this.roofs, into);
  }

  /** What the costs are multiples of: the times at the roof, on a measured device those by its measured rates. */
  unitTimes(test: PredictedTest): Float64Array {
    const atRoof = this.timesAtRoof(test, this.configuration.depth);
    const units = this.#measuredUnits(test);
    return units === null ? atRoof : atRoof.map((time, term) => time * (units[term] ?? 1));
  }

  /** Multiples of the times at the roof; null: the device was not measured. */
  #measuredUnits(test: PredictedTest): readonly number[] | null {
    const { configuration } = this;
    if (configuration.device.measured === undefined) return null;
    const { metric } = test;
    const tokens = test.metric === 'prompt' ? Math.min(test.tokens, configuration.ubatch) : 0;
    // A batch that fills the tiles runs as the measured one does; what smaller ones lose is learned.
    const isUsual = metric === 'generation' || tokens >= FULL_BATCH;
    const usual = isUsual
      ? this.#place.costs(configuration, metric, tokens)
      : this.#place.costs({ ...configuration, ubatch: MEASURED_BATCH }, metric, MEASURED_BATCH);
    return measuredUnits(configuration, metric, this.roofs, usual.sums);
  }

  /** The tests of a table are mostly alike but for their depth: the costs of the last are kept. */
  #factors(test: PredictedTest): readonly number[] {
    const tokens = test.metric === 'prompt' ? test.tokens : 0;
    const last = this.#last[test.metric];
    if (last?.tokens === tokens) return last.factors;
    const { factors: costs } = this.#place.costs(this.configuration, test.metric, tokens);
    const units = this.#measuredUnits(test);
    const factors = units === null ? costs : costs.map((cost, term) => cost * (units[term] ?? 1));
    this.#last[test.metric] = { tokens, factors };
    return factors;
  }
}

function basisOf(place: Place, { device }: Configuration): Basis {
  if (place.calibration !== null) return 'calibrated';
  if (device.measured !== undefined) return 'measured-ceilings';
  return place.isKnown ? 'measured-elsewhere' : 'datasheet';
}

function timeOf(atRoof: Float64Array, factors: readonly number[], term: number): number {
  const roof = atRoof[term] ?? 0;
  return roof > 0 ? roof * (factors[term] ?? 0) : 0;
}

/** The least time: memory and compute work at once, and each needs its own. */
export function roofSeconds(metric: Metric, atRoof: Float64Array): number {
  let memory = 0;
  let compute = 0;
  for (const term of MEMORY[metric]) memory += atRoof[term] ?? 0;
  for (const term of COMPUTE[metric]) compute += atRoof[term] ?? 0;
  // Generation computes on vector units or matrix units as the backend likes: only its bytes are a certain bound.
  return metric === 'prompt' ? Math.max(memory, compute) : memory;
}
