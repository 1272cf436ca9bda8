import { readModelRecords } from '../catalog/host/index.ts';
import { resolveModelName } from '../catalog/index.ts';
import type { Engine, EngineLimits, LoadedModel } from '../engine/index.ts';
import {
  besideReference,
  typeSamples,
  type SampleBeside,
  type SampleRound,
  type TimedSample,
  type TypeSample,
} from '../measure/index.ts';
import { MIX_NAMES, shapeOf, type GgmlTypeName, type ModelShape } from '../model/index.ts';
import type { CacheLease, SyntheticCache } from '../model/host/index.ts';
import { configureOwn, Predictor, type OwnDevice } from '../predict/index.ts';
import { readParameters } from '../predict/host/index.ts';
import { seconds, type Seconds } from '../units/index.ts';

/** Layers of a usual shape, and a small vocabulary: the samples of all types together take 6 GB of disk. */
const SAMPLE_MODEL = 'smollm2-1.7b';
const GENERATED_TOKENS = 16;
const TEST = { promptTokens: 0, generatedTokens: GENERATED_TOKENS, depthTokens: 0 } as const;
/** As llama.cpp's tools load a model that nothing was said of. */
export const USUAL_SETTINGS = {
  // llama.cpp pads the cache to this, and attends to no less (`llama_kv_cache::get_n_kv`).
  contextTokens: 256,
  batchTokens: 2048,
  ubatchTokens: 512,
  gpuLayers: -1,
  cpuMoeLayers: 0,
  cacheTypeK: 'f16',
  cacheTypeV: 'f16',
  flashAttention: 'auto',
} as const;

/** The two files of a type's sample, in memory. */
export interface LoadedSample {
  readonly sample: TypeSample;
  readonly few: LoadedModel;
  readonly many: LoadedModel;
  /** Ends both, and lets the cache have their files. */
  end(): Promise<void>;
}

/** Writes the files of a sample if the cache lacks them, and loads both. */
export async function loadSample(
  sample: TypeSample,
  engine: Engine,
  cache: SyntheticCache,
  threads: number,
  limits: EngineLimits,
  signal: AbortSignal,
): Promise<LoadedSample> {
  const leases: CacheLease[] = [];
  const models: LoadedModel[] = [];
  const end = async (): Promise<void> => {
    for (const model of models) await model.end();
    for (const lease of leases) await lease.release();
  };
  try {
    const load = async (layers: readonly number[]): Promise<LoadedModel> => {
      const lease = await cache.ensure({ shape: sampleShape(), mix: sample.mix, layers }, { signal });
      leases.push(lease);
      const model = await engine.load({ ...USUAL_SETTINGS, threads, modelPath: lease.path }, limits, signal);
      models.push(model);
      return model;
    };
    const [few, many] = sample.layers;
    return { sample, few: await load(few), many: await load(many), end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** What is to be run for types; those that no file is made of are left out. */
export const samplesOf = (types: readonly GgmlTypeName[]): TypeSample[] => typeSamples(sampleShape(), types);

const sampleShape = (): ModelShape =>
  shapeOf(resolveModelName(SAMPLE_MODEL, readModelRecords(), MIX_NAMES).record);

/**
 * What a layer of the samples takes besides its weights, as predictions reckon it for every model: were it in the rates of
 * the types as well, it would count twice.
 */
export function launchOfLayer(own: OwnDevice): Seconds {
  const catalog = { devices: [], models: readModelRecords() };
  const { record } = resolveModelName(SAMPLE_MODEL, catalog.models, MIX_NAMES);
  const configuration = configureOwn(own, record, REFERENCE_MIX, 0);
  if (configuration === null) return seconds(0);
  const test = { metric: 'generation', context: GENERATED_TOKENS / 2 } as const;
  const { terms } = new Predictor(readParameters(), catalog).predict(configuration, test, null);
  const launch = terms.find(({ name }) => name === 'launch')?.seconds ?? 0;
  return seconds(launch / shapeOf(record).layers);
}

/** Seconds of a generated token with each of a sample's files, one after the other. */
export async function timeSample({ few, many }: LoadedSample): Promise<SampleRound> {
  const secondsOf = async (model: LoadedModel): Promise<number> => {
    const [time] = await model.run({ test: TEST, repetitions: 1 });
    return (time ?? Number.NaN) / 1e9 / GENERATED_TOKENS;
  };
  return [await secondsOf(few), await secondsOf(many)];
}

/** Fewer would make a median of nothing; all types take a minute. */
const ROUNDS = 5;
/** The type that all others are timed beside: nearly every file has some of it. */
const REFERENCE_TYPE = 'Q4_K';
const REFERENCE_MIX = 'Q4_K_S';

/**
 * Times layers in each type, one type after the other, each in turn with the same layers in the reference type: what a
 * type takes is scaled to the minutes in which the reference was as fast as it usually is.
 */
export async function timeTypes(
  types: readonly GgmlTypeName[],
  load: (sample: TypeSample) => Promise<LoadedSample>,
): Promise<TimedSample[]> {
  const [referenceSample] = samplesOf([REFERENCE_TYPE]);
  if (referenceSample === undefined) throw new RangeError('the reference type has no sample');
  const reference = await load(referenceSample);
  const timed: SampleBeside[] = [];
  try {
    await timeSample(reference);
    for (const sample of samplesOf(types.filter((type) => type !== REFERENCE_TYPE))) {
      const loaded = await load(sample);
      const rounds: SampleRound[] = [];
      const beside: SampleRound[] = [];
      try {
        await timeSample(loaded);
        for (let round = 0; round < ROUNDS; round += 1) {
          beside.push(await timeSample(reference));
          rounds.push(await timeSample(loaded));
        }
      } finally {
        await loaded.end();
      }
      timed.push({ sample, rounds, beside });
    }
  } finally {
    await reference.end();
  }
  return besideReference(referenceSample, timed);
}
