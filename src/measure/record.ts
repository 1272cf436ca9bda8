import { z } from 'zod';
import { FAILURE_KINDS } from '../engine/index.ts';
import { telemetrySchema } from '../machine/index.ts';
import { bytes, nanoseconds } from '../units/index.ts';

/** Fields are added, never changed, within a major version. */
export const RECORD_SCHEMA_VERSION = 1;

const count = z.number().int().nonnegative();
const bytesSchema = z.number().nonnegative().transform(bytes);
const nanosecondsSchema = z.number().nonnegative().transform(nanoseconds);

const bufferSchema = z.object({
  name: z.string(),
  kind: z.enum(['model', 'kv', 'recurrent', 'compute', 'output']),
  bytes: bytesSchema,
});

const settingsSchema = z.object({
  batchTokens: count,
  ubatchTokens: count,
  threads: count,
  gpuLayers: z.number().int().gte(-1),
  cpuMoeLayers: count,
  cacheTypeK: z.string(),
  cacheTypeV: z.string(),
  flashAttention: z.enum(['on', 'off', 'auto']),
  contextTokens: count,
});

const testSchema = z.object({ promptTokens: count, generatedTokens: count, depthTokens: count });

/** One model file that was run: the whole model, or a sample of its layers. */
const runSchema = z.object({
  /** Full-model indices of the layers in the file; null when the file is not one of ours. */
  layers: z.array(count).nullable(),
  /** Timed repetitions, in the order in which they ran. Interleaved runs share the position in the list. */
  samplesNanoseconds: z.array(nanosecondsSchema),
  warmUpNanoseconds: z.array(nanosecondsSchema),
  buffers: z.array(bufferSchema).nullable(),
  telemetry: telemetrySchema.nullable(),
});

/** One measured or failed point, as one line of the result log. Statistics are computed on reading. */
export const measurementRecordSchema = z.object({
  schemaVersion: z.literal(RECORD_SCHEMA_VERSION),
  id: z.string(),
  benchmark: z.object({ id: z.string(), version: count }),
  /** `key` names the settings and state of the whole sweep, `run` one start of it, `index` the point within it. */
  sweep: z.object({ key: z.string(), run: z.string(), index: count, points: count }),
  /** RFC 3339, UTC. */
  startedAt: z.iso.datetime(),
  machine: z.object({
    stateHash: z.string(),
    /** Everything whose change makes old points another series: kernel, driver, firmware, power profile, ... */
    state: z.record(z.string(), z.string()),
    cpu: z.string().nullable(),
    memoryBytes: bytesSchema.nullable(),
    gpus: z.array(z.string()),
    operatingSystem: z.string().nullable(),
  }),
  engine: z.object({
    id: z.string(),
    version: z.string().nullable(),
    buildCommit: z.string(),
    buildNumber: z.number().int().nullable(),
    backends: z.string(),
    cpuInfo: z.string(),
    gpuInfo: z.string(),
    ruler: z
      .object({ timerResolutionNanoseconds: nanosecondsSchema, callOverheadNanoseconds: nanosecondsSchema })
      .nullable(),
  }),
  model: z.object({
    source: z.enum(['synthetic', 'file']),
    /** The name as the user gave it. */
    name: z.string(),
    /** The file of the last run; a file name for synthetic ones. */
    file: z.string(),
    architecture: z.string().nullable(),
    quantisation: z.string().nullable(),
    shapeHash: z.string().nullable(),
    /** Of the whole model: llama.cpp's own words for files, the same form for synthetic ones. */
    description: z.string().nullable(),
    sizeBytes: bytesSchema.nullable(),
    parameters: z.number().nullable(),
    layers: count.nullable(),
  }),
  settings: settingsSchema,
  test: testSchema,
  runs: z.array(runSchema),
  warnings: z.array(z.string()),
  outcome: z.enum(['measured', ...FAILURE_KINDS]),
  failure: z
    .object({
      sentence: z.string(),
      engineWords: z.string(),
      exitCode: z.number().nullable(),
      signal: z.string().nullable(),
    })
    .nullable(),
});

export type MeasurementRecord = z.infer<typeof measurementRecordSchema>;
export type MeasurementRun = z.infer<typeof runSchema>;
