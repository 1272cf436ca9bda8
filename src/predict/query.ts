import * as z from 'zod';
import {
  computesOnCores,
  findDevice,
  resolveModelLabel,
  type CatalogDevice,
  type ModelRecord,
  type ResolvedDevice,
  type ResolvedModelLabel,
} from '../catalog/index.ts';
import { shapeOf, type ModelShape } from '../model/index.ts';
import { parseBackend, usualFamily, type Backend } from './backend.ts';
import {
  configure,
  withoutPeak,
  type Configuration,
  type EngineName,
  type Offload,
} from './configuration.ts';
import { predictedDevice, type PredictedDevice } from './device.ts';
import type { Metric } from './effects.ts';
import { hostOf, isPartial } from './offload.ts';
import { parseQuantisation, type Quantisation } from './quantisation.ts';
import { workOf, type ModelWork } from './work.ts';

/** A token count or a size in a query; no test of a language model is larger. */
const MAX_COUNT = 2 ** 50;
const size = z.number().min(0).max(MAX_COUNT).nullish();
const name = z.string().max(1000).nullish();

/** One line of a batch of queries; names as in published tables of measurements, null where unknown. */
export const querySchema = z.object({
  id: z.union([z.string().max(1000), z.number()], 'has to be a text or a number'),
  device: z.string().min(1).max(1000),
  backend: name,
  engine: name,
  build: name,
  date: name,
  model: name,
  arch: name,
  quant: name,
  modelSizeBytes: size,
  nParams: size,
  nPrompt: size,
  nGen: size,
  nDepth: size,
  nBatch: size,
  nUbatch: size,
  flashAttention: z.boolean().nullish(),
  typeK: name,
  typeV: name,
  nGpuLayers: z.number().min(-1).max(MAX_COUNT).nullish(),
  /** Layers whose experts stay with the processor, counted from the first (`-ncmoe`). */
  nCpuMoe: size,
  /** The processor beside a graphics card, for what does not lie on the card. */
  hostDevice: name,
  localscoreAverage: z.boolean().optional(),
});
export type Query = z.infer<typeof querySchema>;

export type QueryErrorCode =
  | 'invalid-query'
  | 'unknown-device'
  | 'unknown-backend'
  | 'unknown-model'
  | 'unknown-quantisation'
  | 'no-bandwidth'
  | 'no-host'
  | 'no-peak'
  | 'no-test';

/** Why a query has no answer: what is missing, of what, and what would help. */
export interface QueryError {
  readonly code: QueryErrorCode;
  readonly message: string;
}

/** A query with everything resolved that a prediction needs. */
export interface PreparedQuery {
  readonly configuration: Configuration;
  readonly metric: Metric;
  readonly modelId: string;
  /** Tokens of the prompt; 0 for generation. */
  readonly promptTokens: number;
  /** Tokens in the cache on average while tokens are generated. */
  readonly context: number;
}

/**
 * LocalScore generates 16 to 3072 tokens after prompts of 16 to 4096, nine shapes whose mean is reported
 * (localscore.ai, "What is LocalScore"); the mean number of tokens in the cache is about this.
 */
const LOCALSCORE_CONTEXT = 1800;

/**
 * The number of weights that llama-bench prints with the description of the common model of that size: tables that
 * leave the number away mean these.
 */
const DESCRIBED_WEIGHTS: readonly (readonly [RegExp, number])[] = [
  [/^llama 1B\b/, 1_235_814_432],
  [/^llama 3B\b/, 3_212_749_888],
  [/^llama 8B\b/, 8_030_261_312],
  [/^phi3 3B\b/, 3_821_079_552],
  [/^deepseek2 16B\b/, 15_706_484_224],
  [/^qwen3moe 30B\b/, 30_532_122_624],
];

/** Resolves queries against the catalogue; what it has resolved once it keeps. */
export class QueryReader {
  readonly #devices = new Map<string, ResolvedDevice | null>();
  readonly #predicted = new Map<string, PredictedDevice | null>();
  readonly #labels = new Map<string, ResolvedModelLabel | null>();
  readonly #shapes = new Map<string, ModelShape>();
  readonly #works = new Map<string, ModelWork>();
  readonly #catalogDevices: readonly CatalogDevice[];
  readonly #models: readonly ModelRecord[];

  constructor(devices: readonly CatalogDevice[], models: readonly ModelRecord[]) {
    this.#catalogDevices = devices;
    this.#models = models;
  }

  /** The work of a model of the catalogue. */
  work(record: ModelRecord): ModelWork {
    return kept(this.#works, record.id, () => workOf(kept(this.#shapes, record.id, () => shapeOf(record))));
  }

  /** Resolves a query, or says what is missing. */
  prepare(query: Query): PreparedQuery | QueryError {
    const device = this.#device(query);
    if ('code' in device) return device;
    const backend = this.#backend(query, device);
    if ('code' in backend) return backend;
    const model = this.#model(query);
    if ('code' in model) return model;
    const promptTokens = query.nPrompt ?? 0;
    const generated = query.nGen ?? 0;
    if (promptTokens > 0 === generated > 0) {
      return {
        code: 'no-test',
        message:
          'nPrompt, nGen or both have to be above 0: prompt processing, text generation, or one after the other.',
      };
    }
    const metric = promptTokens > 0 ? 'prompt' : 'generation';
    const offload = this.#offload(query, device, model.record);
    if (offload !== null && 'code' in offload) return offload;
    const average = query.localscoreAverage === true;
    const day =
      query.date === null || query.date === undefined ? Number.NaN : Date.parse(query.date) / MS_PER_DAY;
    const depth = query.nDepth ?? 0;
    const configuration = configure({
      device,
      backend,
      engine: engineOf(query, average),
      day: Number.isFinite(day) ? day : null,
      work: this.work(model.record),
      quantisation: model.quantisation,
      fileBytes: query.modelSizeBytes ?? null,
      depth,
      batch: query.nBatch ?? null,
      ubatch: query.nUbatch ?? null,
      flashAttention: query.flashAttention ?? null,
      typeK: query.typeK ?? null,
      typeV: query.typeV ?? null,
      offload,
    });
    const unknown = metric === 'prompt' ? withoutPeak(configuration, promptTokens) : null;
    if (unknown !== null) {
      return {
        code: 'no-peak',
        message: `No compute peak of ${unknown.id} is published, so its prompt processing cannot be predicted; measure it with ridgepoint calibrate.`,
      };
    }
    return {
      modelId: model.record.id,
      metric,
      promptTokens,
      context: average ? LOCALSCORE_CONTEXT : depth + generated / 2,
      configuration,
    };
  }

  #device(query: Query): PredictedDevice | QueryError {
    const resolved = kept(this.#devices, query.device, () => findDevice(query.device, this.#catalogDevices));
    if (resolved === null) {
      return {
        code: 'unknown-device',
        message: `There is no device '${query.device}' in the catalogue, so its memory bandwidth is not known.`,
      };
    }
    const { device, count } = resolved;
    const onCores =
      device.kind === 'cpu' ||
      /^cpu/i.test(query.backend ?? (computesOnCores(device) ? 'cpu' : '')) ||
      /^cpu-/i.test(query.device);
    const unit = onCores ? 'cpu' : 'gpu';
    const predicted = kept(this.#predicted, `${query.device} ${unit}`, () =>
      predictedDevice(device, count, unit),
    );
    return (
      predicted ?? {
        code: 'no-bandwidth',
        message: `No memory bandwidth of ${device.id} is published, so nothing about it can be predicted; measure it with ridgepoint calibrate.`,
      }
    );
  }

  /** What stays with the processor; null: nothing, or all of it is there anyway. */
  #offload(query: Query, device: PredictedDevice, record: ModelRecord): Offload | QueryError | null {
    const layers = query.nGpuLayers ?? -1;
    const cpuMoeLayers = query.nCpuMoe ?? 0;
    if (device.unit === 'cpu' || (layers < 0 && cpuMoeLayers === 0)) return null;
    const shape = kept(this.#shapes, record.id, () => shapeOf(record));
    const placement = { gpuLayers: layers < 0 ? null : layers, cpuMoeLayers };
    if (!isPartial(shape, placement)) return null;
    const named = query.hostDevice ?? null;
    const gpu = kept(this.#devices, query.device, () => findDevice(query.device, this.#catalogDevices));
    const processor =
      named === null ? null : kept(this.#devices, named, () => findDevice(named, this.#catalogDevices));
    if (named !== null && processor === null) {
      return {
        code: 'unknown-device',
        message: `There is no processor '${named}' in the catalogue, so its memory bandwidth is not known.`,
      };
    }
    const host = gpu === null ? null : hostOf(gpu.device, processor?.device ?? null);
    if (host !== null) return { shape, placement, host };
    const what =
      named === null
        ? `the processor is not known: name it as hostDevice`
        : `no memory bandwidth of ${named} is published`;
    return {
      code: 'no-host',
      message: `A part of ${record.id} stays with the processor beside ${device.id} (nGpuLayers ${layers}, nCpuMoe ${cpuMoeLayers}, ${shape.layers} layers), and ${what}.`,
    };
  }

  #backend(query: Query, device: PredictedDevice): Backend | QueryError {
    const text =
      device.unit === 'cpu' ? 'cpu' : (query.backend ?? usualFamily(device.vendor, device.unit) ?? '');
    return (
      parseBackend(text, device.vendor, device.unit) ?? {
        code: 'unknown-backend',
        message: `'${text}' is no backend of llama.cpp that predictions are made for.`,
      }
    );
  }

  #model(query: Query): { readonly record: ModelRecord; readonly quantisation: Quantisation } | QueryError {
    const label = query.model ?? '';
    const weights = query.nParams ?? DESCRIBED_WEIGHTS.find(([pattern]) => pattern.test(label))?.[1] ?? null;
    const resolved = kept(this.#labels, `${label} ${weights}`, () =>
      resolveModelLabel(label, this.#models, weights),
    );
    if (resolved === null) {
      return {
        code: 'unknown-model',
        message: `There is no model '${label}' in the catalogue, so its shape is not known.`,
      };
    }
    const text = query.quant ?? resolved.quantisation ?? resolved.record.nativeQuantisation ?? '';
    const quantisation = parseQuantisation(text) ?? parseQuantisation(resolved.quantisation ?? '');
    return quantisation === null
      ? {
          code: 'unknown-quantisation',
          message: `The bits of a weight in '${text}' of ${label} are not known.`,
        }
      : { record: resolved.record, quantisation };
  }
}

const MS_PER_DAY = 86_400_000;

function engineOf(query: Query, average: boolean): EngineName {
  if (average) return 'localscore';
  return query.engine === 'ik_llama.cpp' ? 'ik_llama.cpp' : 'llama.cpp';
}

function kept<Value>(cache: Map<string, Value>, key: string, make: () => Value): Value {
  const known = cache.get(key);
  if (known !== undefined || cache.has(key)) return known as Value;
  const made = make();
  cache.set(key, made);
  return made;
}
