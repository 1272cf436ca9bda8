import { seconds, tokensPerSecond, type Seconds, type TokensPerSecond } from '../units/index.ts';
import type { CatalogDevice, ModelRecord } from '../catalog/index.ts';
import type { Calibration } from './calibration.ts';
import type { Configuration } from './configuration.ts';
import { TERM_NAMES, type Metric } from './effects.ts';
import { halfWidth, intervalEngine, type Novelty } from './intervals.ts';
import { CostTable, termSeconds, type Parameters } from './parameters.ts';
import { QueryReader, querySchema, type PreparedQuery, type QueryError } from './query.ts';
import { generationTerms, promptTerms, roofsFor, UNBOUNDED } from './terms.ts';
import type { Roofs } from './device.ts';

/** Where a prediction comes from: the machine's own points, others' measurements of the device, or its datasheet. */
export type Basis = 'calibrated' | 'measured-elsewhere' | 'datasheet';

/** A part of the predicted time. */
export interface PredictedTerm {
  readonly name: string;
  readonly seconds: Seconds;
  /** The least that the device's roof allows; null for costs that no roof bounds. */
  readonly roofSeconds: Seconds | null;
}

/** A speed with its interval, its basis and the terms that make it up. */
export interface Prediction {
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
  readonly terms: readonly PredictedTerm[];
}

/** What is asked of a model on a device. */
export type PredictedTest =
  | { readonly metric: 'generation'; readonly context: number; readonly sequences?: number }
  | { readonly metric: 'prompt'; readonly tokens: number };

export interface BatchAnswer {
  readonly id: string | number;
  readonly tokensPerSecond: number;
  readonly low: number;
  readonly high: number;
  readonly basis: Basis;
}
export interface BatchError {
  readonly id: string | number | null;
  readonly error: QueryError;
}

/** Terms that stand under the same roof and share it: their times at the roof add up. */
const MEMORY_TERMS: ReadonlySet<string> = new Set(['dense', 'experts', 'cache', 'stream']);
const COMPUTE_TERMS: ReadonlySet<string> = new Set(['matmul', 'expert-matmul', 'arithmetic']);

/** Predicts speeds: the physics of `terms.ts` with the learned costs. Pure: the same in Node and in a browser. */
export class Predictor {
  readonly reader: QueryReader;
  readonly #parameters: Parameters;
  readonly #costs: CostTable;
  readonly #knownDevices: ReadonlySet<string>;
  readonly #knownModels: ReadonlySet<string>;
  readonly #calibrations: ReadonlyMap<string, Calibration>;

  constructor(
    parameters: Parameters,
    catalog: { readonly devices: readonly CatalogDevice[]; readonly models: readonly ModelRecord[] },
    calibrations: readonly Calibration[] = [],
  ) {
    this.reader = new QueryReader(catalog.devices, catalog.models);
    this.#parameters = parameters;
    this.#costs = new CostTable(parameters);
    this.#knownDevices = new Set(parameters.knownDevices);
    this.#knownModels = new Set(parameters.knownModels);
    this.#calibrations = new Map(calibrations.map((each) => [`${each.deviceId} ${each.backend}`, each]));
  }

  /** Predicts one test. `modelId` tells whether the fit has seen the model. */
  predict(configuration: Configuration, test: PredictedTest, modelId: string | null): Prediction {
    const { metric } = test;
    const roofs = roofsFor(configuration);
    const atRoof = timesAtRoof(configuration, test, roofs);
    const tokens = test.metric === 'prompt' ? test.tokens : (test.sequences ?? 1);
    const calibration = this.#calibrationOf(configuration);
    const learned = this.#costs.sums(configuration, metric, test.metric === 'prompt' ? test.tokens : 0);
    const sums = calibration === null ? learned : shifted(learned, calibration[metric]);
    const times = termSeconds(metric, atRoof, sums);
    let total = 0;
    for (const time of times) total += time;
    const speed = tokens / total;
    const roof = tokens / roofSeconds(metric, atRoof);
    const { basis, half80, half90 } = this.#uncertainty(configuration, metric, modelId, calibration !== null);
    return {
      tokensPerSecond: tokensPerSecond(speed),
      low: tokensPerSecond(speed * Math.exp(-half80)),
      high: tokensPerSecond(Math.min(roof, speed * Math.exp(half80))),
      low90: tokensPerSecond(speed * Math.exp(-half90)),
      high90: tokensPerSecond(Math.min(roof, speed * Math.exp(half90))),
      basis,
      roofTokensPerSecond: tokensPerSecond(roof),
      seconds: seconds(total),
      terms: TERM_NAMES[metric].map((name, term) => ({
        name,
        seconds: seconds(times[term] ?? 0),
        roofSeconds: UNBOUNDED.has(name) ? null : seconds(atRoof[term] ?? 0),
      })),
    };
  }

  /** The sums of effects without a calibration: what own measurements are held against. */
  uncalibrated(
    configuration: Configuration,
    test: PredictedTest,
  ): { readonly roofs: Float64Array; readonly sums: Float64Array } {
    return {
      roofs: timesAtRoof(configuration, test, roofsFor(configuration)),
      sums: this.#costs.sums(configuration, test.metric, test.metric === 'prompt' ? test.tokens : 0),
    };
  }

  /** Answers a resolved query. */
  predictPrepared(prepared: PreparedQuery): Prediction {
    const { configuration, metric, promptTokens, context, modelId } = prepared;
    const test: PredictedTest = metric === 'prompt' ? { metric, tokens: promptTokens } : { metric, context };
    return this.predict(configuration, test, modelId);
  }

  /** Answers one line of a batch, or says what is missing. Never looks a measurement up. */
  answer(line: unknown): BatchAnswer | BatchError {
    const parsed = querySchema.safeParse(line);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      const place = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
      const message = `The query is not valid: ${place}${issue?.message ?? 'not an object'}.`;
      return { id: idOf(line), error: { code: 'invalid-query', message } };
    }
    const prepared = this.reader.prepare(parsed.data);
    if ('code' in prepared) return { id: parsed.data.id, error: prepared };
    const { tokensPerSecond: speed, low, high, basis } = this.predictPrepared(prepared);
    return { id: parsed.data.id, tokensPerSecond: speed, low, high, basis };
  }

  #calibrationOf({ device, backend }: Configuration): Calibration | null {
    return (
      this.#calibrations.get(`${device.id} ${backend.exact}`) ??
      this.#calibrations.get(`${device.id} ${backend.family}`) ??
      null
    );
  }

  #uncertainty(
    configuration: Configuration,
    metric: Metric,
    modelId: string | null,
    calibrated: boolean,
  ): { readonly basis: Basis; readonly half80: number; readonly half90: number } {
    const { device, backend, engine, depth } = configuration;
    const knownDevice = this.#knownDevices.has(`${device.id} ${backend.family}`);
    const knownModel = modelId !== null && this.#knownModels.has(modelId);
    const cell = `${metric === 'prompt' ? 'pp' : 'tg'} ${depth > 0 ? 'd>0' : 'd0'}`;
    const novelty: Novelty | 'both-new' = calibrated
      ? 'calibrated'
      : knownDevice
        ? knownModel
          ? 'known'
          : 'new-model'
        : knownModel
          ? 'new-device'
          : 'both-new';
    const half = (coverage: 80 | 90): number => {
      const width = halfWidth(this.#parameters, cell, intervalEngine(engine), novelty, coverage);
      if (width === null) throw new RangeError(`the parameters have no interval for ${cell}, ${novelty}`);
      return width;
    };
    return {
      basis: calibrated ? 'calibrated' : knownDevice ? 'measured-elsewhere' : 'datasheet',
      half80: half(80),
      half90: half(90),
    };
  }
}

function timesAtRoof(configuration: Configuration, test: PredictedTest, roofs: Roofs): Float64Array {
  return test.metric === 'prompt'
    ? promptTerms(configuration, test.tokens, roofs)
    : generationTerms(configuration, test.context, test.sequences ?? 1, roofs);
}

/** The least time: memory and compute work at once, and each needs its own. */
export function roofSeconds(metric: Metric, atRoof: Float64Array): number {
  let memory = 0;
  let compute = 0;
  for (const [term, name] of TERM_NAMES[metric].entries()) {
    if (MEMORY_TERMS.has(name)) memory += atRoof[term] ?? 0;
    if (COMPUTE_TERMS.has(name)) compute += atRoof[term] ?? 0;
  }
  // Generation computes on vector units or matrix units as the backend likes: only its bytes are a certain bound.
  return metric === 'prompt' ? Math.max(memory, compute) : memory;
}

function shifted(sums: Float64Array, shifts: readonly number[]): Float64Array {
  return sums.map((sum, term) => sum + (shifts[term] ?? 0));
}

function idOf(line: unknown): string | number | null {
  if (typeof line !== 'object' || line === null || !('id' in line)) return null;
  return typeof line.id === 'string' || typeof line.id === 'number' ? line.id : null;
}
