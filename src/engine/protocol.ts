import { z } from 'zod';
import { bytes, nanoseconds } from '../units/index.ts';
import { CACHE_TYPES, isCacheType } from './cache-types.ts';
import { STREAM_OPERATIONS, TRANSFER_DIRECTIONS } from './probe.ts';

/**
 * What a worker and its parent say to each other: JSON, one message a line. Requests go to the worker's standard
 * input, answers come on its file descriptor 3, so that nothing a native library prints can get in between.
 */

const count = z.number().int().nonnegative();
const cacheType = z.string().refine(isCacheType, `one of ${Object.keys(CACHE_TYPES).join(', ')}`);

const modelSettingsSchema = z.object({
  modelPath: z.string(),
  contextTokens: count,
  batchTokens: count,
  ubatchTokens: count,
  threads: count,
  gpuLayers: z.number().int(),
  cpuMoeLayers: count,
  cacheTypeK: cacheType,
  cacheTypeV: cacheType,
  flashAttention: z.enum(['on', 'off', 'auto']),
});

const contextSettingsSchema = z.object({
  contextTokens: count,
  sequences: count,
  unifiedCache: z.boolean(),
  batchTokens: count,
  ubatchTokens: count,
  cacheTypeK: cacheType,
  cacheTypeV: cacheType,
  flashAttention: z.enum(['on', 'off', 'auto']),
  drafts: z.boolean().optional(),
  rollbackStates: count.optional(),
});

export const requestSchema = z.discriminatedUnion('method', [
  z.object({ method: z.literal('describe'), id: count }),
  z.object({ method: z.literal('load'), id: count, settings: modelSettingsSchema }),
  z.object({
    method: z.literal('run'),
    id: count,
    test: z.object({ promptTokens: count, generatedTokens: count, depthTokens: count }),
  }),
  z.object({
    method: z.literal('multiply'),
    id: count,
    device: z.string().nullable(),
    type: z.string(),
    rows: count,
    columns: count,
    batch: count,
    threads: count,
    milliseconds: count,
  }),
  z.object({
    method: z.literal('attend'),
    id: count,
    device: z.string().nullable(),
    heads: count,
    keyValueHeads: count,
    headLength: count,
    cells: count,
    layers: count,
    threads: count,
    milliseconds: count,
  }),
  z.object({
    method: z.literal('planMemory'),
    id: count,
    request: z.object({
      modelPath: z.string(),
      gpuLayers: z.number().int(),
      cpuMoeLayers: count,
      tensorSplit: z.array(z.number().nonnegative()).optional(),
      nextTokenLayers: z.boolean().optional(),
      contexts: z.array(contextSettingsSchema),
    }),
  }),
  z.object({
    method: z.literal('stream'),
    id: count,
    device: z.string().nullable(),
    operation: z.enum(STREAM_OPERATIONS),
    workingSetBytes: count.transform(bytes),
    threads: count,
    milliseconds: count,
  }),
  z.object({
    method: z.literal('transfer'),
    id: count,
    device: z.string().nullable(),
    direction: z.enum(TRANSFER_DIRECTIONS),
    memory: z.enum(['pageable', 'pinned']),
    sizeBytes: count.transform(bytes),
    milliseconds: count,
  }),
  z.object({ method: z.literal('countExperts'), id: count, tokens: count, singly: z.boolean() }),
]);
export type WorkerRequest = z.infer<typeof requestSchema>;

const deviceSchema = z.object({
  name: z.string(),
  description: z.string(),
  kind: z.enum(['cpu', 'gpu', 'integrated-gpu', 'accelerator', 'unknown']),
  totalBytes: z.number().transform(bytes).nullable(),
  freeBytes: z.number().transform(bytes).nullable(),
});

/** The answer to each method. */
export const answerSchemas = {
  describe: z.object({
    version: z.string(),
    buildCommit: z.string(),
    buildNumber: z.number().int().nullable(),
    backends: z.string(),
    cpuInfo: z.string(),
    gpuInfo: z.string(),
    devices: z.array(deviceSchema),
    ruler: z.object({
      timerResolutionNanoseconds: z.number().transform(nanoseconds),
      callOverheadNanoseconds: z.number().transform(nanoseconds),
    }),
  }),
  load: z.object({
    description: z.string(),
    sizeBytes: z.number().transform(bytes),
    parameters: z.number(),
  }),
  run: z.object({ nanoseconds: z.number().positive().transform(nanoseconds) }),
  multiply: z.object({ samplesNanoseconds: z.array(z.number().positive().transform(nanoseconds)) }),
  attend: z.object({ samplesNanoseconds: z.array(z.number().positive().transform(nanoseconds)) }),
  planMemory: z.object({
    contexts: z.array(
      z.object({
        /** What llama.cpp logged while it made the context. */
        log: z.string(),
        /** null: it refused. */
        buffers: z
          .array(
            z.object({
              name: z.string(),
              isHost: z.boolean(),
              modelBytes: z.number().transform(bytes),
              contextBytes: z.number().transform(bytes),
              computeBytes: z.number().transform(bytes),
            }),
          )
          .nullable(),
      }),
    ),
  }),
  stream: z.object({
    samplesNanoseconds: z.array(z.number().positive().transform(nanoseconds)),
    steps: count,
    bytesPerStep: z.number().positive().transform(bytes),
    emptyStepNanoseconds: z.number().nonnegative().transform(nanoseconds),
  }),
  transfer: z.object({
    samplesNanoseconds: z.array(z.number().positive().transform(nanoseconds)).nullable(),
  }),
  countExperts: z.object({
    /** Distinct experts that the tokens were routed to, for each layer. */
    distinctExperts: z.array(count),
    logitsFinite: z.boolean(),
  }),
} as const;

export type WorkerAnswer<Method extends keyof typeof answerSchemas> = z.infer<(typeof answerSchemas)[Method]>;

/** Every line that a worker writes: an answer, or a refusal that leaves the worker alive. */
export const replySchema = z.union([
  z.object({ id: count, answer: z.unknown() }),
  z.object({ id: count, refusal: z.object({ message: z.string() }) }),
]);
