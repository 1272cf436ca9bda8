import type { CatalogDevice, ModelRecord } from '../catalog/index.ts';
import { ageOf, daysBeyond, driftOf } from './age.ts';
import { CELLS } from './accuracy.ts';
import type { Calibration } from './calibration.ts';
import type { Configuration } from './configuration.ts';
import type { PredictedDevice } from './device.ts';
import { TERM_NAMES, type Metric } from './effects.ts';
import { halfWidth, intervalEngine, ledgerCell, type IntervalCell, type Novelty } from './intervals.ts';
import type { Parameters } from './parameters.ts';
import { Place } from './place.ts';
import { QueryReader, querySchema, type PreparedQuery, type Query, type QueryError } from './query.ts';
import {
  Situation,
  type Basis,
  type CellWidths,
  type Estimate,
  type PredictedTest,
  type Prediction,
  type Widths,
} from './situation.ts';
import { OFFLOAD_WIDENING, SplitSituation } from './split-situation.ts';

/** A speed with the interval that contains four measurements of five. */
interface Speed {
  readonly tokensPerSecond: number;
  readonly low: number;
  readonly high: number;
  readonly basis: Basis;
}
export interface BatchAnswer extends Speed {
  readonly id: string | number;
}
export interface BatchError {
  readonly id: string | number | null;
  readonly error: QueryError;
}

/** What queries are resolved against. */
export interface PredictorCatalog {
  readonly devices: readonly CatalogDevice[];
  readonly models: readonly ModelRecord[];
}

/** Predicts speeds: the physics of `terms.ts` with the learned costs. Pure: the same in Node and in a browser. */
export class Predictor {
  readonly #catalog: PredictorCatalog;
  #reader: QueryReader | null = null;
  readonly #parameters: Parameters;
  readonly #knownDevices: ReadonlySet<string>;
  readonly #knownModels: ReadonlySet<string>;
  readonly #calibrations: ReadonlyMap<string, Calibration>;
  /** By the exact name of the backend, and how rocBLAS multiplies. */
  readonly #places = new WeakMap<PredictedDevice, Map<string, Place>>();
  readonly #widths = new Map<string, CellWidths>();
  /** Where situations write the times that they need for a moment. */
  readonly #scratch: Readonly<Record<Metric, Float64Array>> = {
    generation: new Float64Array(TERM_NAMES.generation.length),
    prompt: new Float64Array(TERM_NAMES.prompt.length),
  };

  constructor(parameters: Parameters, catalog: PredictorCatalog, calibrations: readonly Calibration[] = []) {
    this.#catalog = catalog;
    this.#parameters = parameters;
    this.#knownDevices = new Set(parameters.knownDevices);
    this.#knownModels = new Set(parameters.knownModels);
    this.#calibrations = new Map(calibrations.map((each) => [`${each.deviceId} ${each.backend}`, each]));
  }

  /** Resolves queries; only for them is the catalogue looked into. */
  get reader(): QueryReader {
    this.#reader ??= new QueryReader(this.#catalog.devices, this.#catalog.models);
    return this.#reader;
  }

  /** A model on a device, to be asked for many tests. `modelId` tells whether the fit has seen the model. */
  situation(configuration: Configuration, modelId: string | null): Situation | SplitSituation {
    const { host } = configuration;
    if (host === null) return this.#onDevice(configuration, modelId);
    const part = { ...configuration, host: null };
    const parts = {
      whole: this.#onDevice(part, modelId),
      gpu: this.#onDevice({ ...part, work: host.gpuWork, bytes: host.gpuBytes }, modelId),
      host: this.#onDevice(
        { ...part, device: host.device, backend: host.backend, work: host.work, bytes: host.bytes },
        modelId,
      ),
    };
    const widths = widened(this.#widthsOf(configuration, 'both-new'));
    return new SplitSituation(configuration, host, parts, widths);
  }

  #onDevice(configuration: Configuration, modelId: string | null): Situation {
    const place = this.#placeOf(configuration);
    const novelty = noveltyOf(place, modelId !== null && this.#knownModels.has(modelId));
    return new Situation(place, configuration, this.#widthsOf(configuration, novelty), this.#scratch);
  }

  /** Predicts one test. */
  predict(configuration: Configuration, test: PredictedTest, modelId: string | null): Prediction {
    return this.situation(configuration, modelId).predict(test);
  }

  /** The sums of effects without a calibration: what own measurements are held against. */
  uncalibrated(
    configuration: Configuration,
    test: PredictedTest,
  ): { readonly roofs: Float64Array; readonly sums: Float64Array } {
    const tokens = test.metric === 'prompt' ? test.tokens : 0;
    return {
      roofs: this.#onDevice(configuration, null).unitTimes(test),
      sums: this.#placeOf(configuration).costs(configuration, test.metric, tokens).sums,
    };
  }

  /** Answers a resolved query. */
  predictPrepared(prepared: PreparedQuery): Estimate {
    const { configuration, metric, promptTokens, context, modelId } = prepared;
    const test: PredictedTest = metric === 'prompt' ? { metric, tokens: promptTokens } : { metric, context };
    return this.situation(configuration, modelId).estimate(test);
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
    const { data } = parsed;
    const answer =
      (data.nPrompt ?? 0) > 0 && (data.nGen ?? 0) > 0 ? this.#promptThenGeneration(data) : this.#speed(data);
    return 'code' in answer ? { id: data.id, error: answer } : { id: data.id, ...answer };
  }

  #speed(query: Query): Speed | QueryError {
    const prepared = this.reader.prepare(query);
    if ('code' in prepared) return prepared;
    const { tokensPerSecond: speed, low, high, basis } = this.predictPrepared(prepared);
    return { tokensPerSecond: speed, low, high, basis };
  }

  /** llama-bench's `pg`: all tokens of both by the sum of their times; the errors are taken to go together. */
  #promptThenGeneration(query: Query): Speed | QueryError {
    const promptTokens = query.nPrompt ?? 0;
    const generated = query.nGen ?? 0;
    const prompt = this.#speed({ ...query, nGen: 0 });
    if ('code' in prompt) return prompt;
    const generation = this.#speed({
      ...query,
      nPrompt: 0,
      nDepth: (query.nDepth ?? 0) + promptTokens,
    });
    if ('code' in generation) return generation;
    const both = (promptSpeed: number, generationSpeed: number): number =>
      (promptTokens + generated) / (promptTokens / promptSpeed + generated / generationSpeed);
    return {
      tokensPerSecond: both(prompt.tokensPerSecond, generation.tokensPerSecond),
      low: both(prompt.low, generation.low),
      high: both(prompt.high, generation.high),
      basis: prompt.basis,
    };
  }

  #placeOf(configuration: Configuration): Place {
    const { device, backend } = configuration;
    let ofDevice = this.#places.get(device);
    if (ofDevice === undefined) {
      ofDevice = new Map();
      this.#places.set(device, ofDevice);
    }
    const key = `${backend.exact} ${backend.hipBlasLt}`;
    let place = ofDevice.get(key);
    if (place === undefined) {
      place = new Place(
        configuration,
        this.#parameters.effects,
        this.#knownDevices.has(`${device.id} ${backend.family}`),
        this.#calibrations.get(`${device.id} ${backend.exact}`) ??
          this.#calibrations.get(`${device.id} ${backend.family}`) ??
          null,
      );
      ofDevice.set(key, place);
    }
    return place;
  }

  #widthsOf(configuration: Configuration, novelty: Novelty | 'both-new'): CellWidths {
    const { engine } = configuration;
    const { ages, seenDays } = this.#parameters;
    // What was measured here was measured with the builds that are used here.
    const days = novelty === 'calibrated' ? 0 : daysBeyond(seenDays, configuration);
    const beyond =
      days === 0
        ? ''
        : `${Math.sign(days)} ${CELLS.map((cell) => ageOf(ages, cell, days)?.fromDays ?? 0).join(' ')}`;
    const key = `${engine} ${novelty} ${beyond}`;
    const known = this.#widths.get(key);
    if (known !== undefined) return known;
    const of = (cell: IntervalCell): Widths | null => {
      const [of80, of90] = ([80, 90] as const).map((coverage) => {
        const half = halfWidth(this.#parameters, cell, intervalEngine(engine), novelty, coverage);
        const drift = driftOf(ages, ledgerCell(cell), days, coverage);
        return half === null
          ? null
          : { up: Math.exp(Math.hypot(half, drift.up)), down: Math.exp(-Math.hypot(half, drift.down)) };
      });
      return of80 === undefined || of90 === undefined || of80 === null || of90 === null
        ? null
        : { up80: of80.up, down80: of80.down, up90: of90.up, down90: of90.down };
    };
    const made = byCell(of);
    this.#widths.set(key, made);
    return made;
  }
}

/** The widths of a model that GPU and processor share. */
function widened(widths: CellWidths): CellWidths {
  return byCell((cell) => {
    const width = widths[cell];
    return width === null
      ? null
      : {
          up80: width.up80 ** OFFLOAD_WIDENING,
          down80: width.down80 ** OFFLOAD_WIDENING,
          up90: width.up90 ** OFFLOAD_WIDENING,
          down90: width.down90 ** OFFLOAD_WIDENING,
        };
  });
}

function byCell(of: (cell: IntervalCell) => Widths | null): CellWidths {
  return {
    'tg d0': of('tg d0'),
    'tg d>0': of('tg d>0'),
    'pp d0': of('pp d0'),
    'pp d>0': of('pp d>0'),
    'pp d0 small': of('pp d0 small'),
  };
}

/** What of a prediction the fit has not seen. */
function noveltyOf(place: Place, isKnownModel: boolean): Novelty | 'both-new' {
  if (place.calibration !== null) return 'calibrated';
  if (place.isKnown) return isKnownModel ? 'known' : 'new-model';
  return isKnownModel ? 'new-device' : 'both-new';
}

function idOf(line: unknown): string | number | null {
  if (typeof line !== 'object' || line === null || !('id' in line)) return null;
  return typeof line.id === 'string' || typeof line.id === 'number' ? line.id : null;
}
