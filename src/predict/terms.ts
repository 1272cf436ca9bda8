import type { Configuration } from './configuration.ts';
import { roofsOf, type Roofs } from './device.ts';

/** The terms of one generated token. */
export const GENERATION_TERMS = [
  'fixed',
  'launch',
  'dense',
  'experts',
  'cache',
  'attention',
  'arithmetic',
  'state',
] as const;
/** The terms of one prompt. */
export const PROMPT_TERMS = [
  'fixed',
  'launch',
  'matmul',
  'expert-matmul',
  'dispatch',
  'stream',
  'attention',
  'elementwise',
  'state',
] as const;
export type GenerationTerm = (typeof GENERATION_TERMS)[number];
export type PromptTerm = (typeof PROMPT_TERMS)[number];

/** Terms that no roof bounds: their unit is the time below, and what is learned is a multiple of it. */
export const UNBOUNDED: ReadonlySet<string> = new Set([
  'fixed',
  'launch',
  'dispatch',
  'elementwise',
  'state',
]);

/** Unit of the fixed cost of a pass: a millisecond. */
const FIXED_SECONDS = 1e-3;
/** Unit of the cost of a kernel launch: a microsecond. */
const LAUNCH_SECONDS = 1e-6;
/** Bytes that elementwise kernels move for a value of the residual stream: some ten passes of f32, read and written. */
const ELEMENTWISE_BYTES = 80;
const STATE_BYTES = 8;
/** Most tokens in the attention of a KV row that exists: llama.cpp pads the cache it reads to this (n_kv). */
const CACHE_PADDING = 256;

/** Operations on floats for each byte of bandwidth where no peak is published: the medians of the catalogue. */
const PRESUMED_OPERATIONS_PER_BYTE = { cpu: 16, gpu: 35 } as const;

/**
 * How many times the work of Q2_K a processor has with a weight of formats whose unpacking, and not the memory, bounded
 * a product of a single row: nanoseconds a weight on two cores of an AMD EPYC (data/predict/own-machine.json), Q2_K 0.012,
 * MXFP4 0.016, Q3_K 0.019, IQ4_XS 0.022, Q5_K 0.023, Q5_0 0.027, IQ3_S 0.057. The last stands for all formats whose
 * weights are groups in tables that have to be looked up one by one (`iq3s_grid` in `ggml_vec_dot_iq3_s_q8_K`, ggml-cpu,
 * llama.cpp v0.5.0). What differs from engine to engine and device to device is learned.
 */
const UNPACKING_WORK: readonly (readonly [format: RegExp, work: number])[] = [
  [/^IQ(?:1_[SM]|2_(?:XXS|XS|S|M)|3_(?:XXS|XS|S|M))$/, 4.8],
  [/^Q5_[01]$/, 2.3],
  [/^(?:Q5_K|IQ4_XS)/, 1.9],
  [/^Q3_K/, 1.6],
  [/^MXFP4/, 1.4],
];

function unpackingWork({ device, quantisation }: Configuration): number {
  if (device.unit !== 'cpu') return 1;
  return UNPACKING_WORK.find(([format]) => format.test(quantisation.name))?.[1] ?? 1;
}

/** The mean number of experts that a batch touches when routing is uniform: E (1 - (1 - k/E)^U). */
export function expertsTouched(count: number, used: number, tokens: number): number {
  return count * (1 - (1 - used / count) ** tokens);
}

/** Operations per second of code without matrix units: published, or presumed from the bandwidth. */
export const vectorRoof = ({ device }: Configuration, roofs: Roofs): number =>
  roofs.vectorFlopPerSecond ?? roofs.bandwidthBytesPerSecond * PRESUMED_OPERATIONS_PER_BYTE[device.unit];

/** Backends that multiplied MXFP4 as floats when gpt-oss was new. */
const FLOAT_MXFP4: ReadonlySet<string> = new Set(['rocm', 'vulkan']);

/** Times at the roof of every term of a pass, in the order of the term lists. */
export type TermSeconds = Float64Array;

export function roofsFor(configuration: Configuration): Roofs {
  const { device, backend, bytes, quantisation } = configuration;
  // ROCm and Vulkan got integer kernels for MXFP4 only after most of what is known of them was measured.
  const asFloats = quantisation.group === 'four-float' && FLOAT_MXFP4.has(backend.family);
  // Above 12 bits a weight is a float, and the product runs on the float units.
  return roofsOf(device, backend.family, bytes.bitsPerWeight < 12 && !asFloats);
}

/**
 * Times at the roof of one generated token.
 * @param sequences - tokens that are generated at once, one of each sequence.
 * @param terms - where the times are written.
 */
export function generationTerms(
  configuration: Configuration,
  context: number,
  sequences = 1,
  roofs: Roofs = roofsFor(configuration),
  terms: TermSeconds = new Float64Array(GENERATION_TERMS.length),
): TermSeconds {
  const { work, bytes, keyBytes, valueBytes } = configuration;
  const bandwidth = roofs.bandwidthBytesPerSecond;
  const vector = vectorRoof(configuration, roofs);
  let cacheBytes = 0;
  let multiplications = 0;
  for (const group of work.attention) {
    const rows = group.layers * attendedRows(group.window, group.compression, context);
    cacheBytes += rows * (group.keyValues * keyBytes + group.valueValues * valueBytes);
    multiplications += rows * group.multiplications;
  }
  const touched =
    work.experts === null
      ? 0
      : expertsTouched(work.experts.count, work.experts.used, sequences) / work.experts.count;
  const active =
    work.denseWeights +
    work.headWeights +
    (work.experts === null ? 0 : (work.expertWeights * work.experts.used) / work.experts.count);
  terms[0] = FIXED_SECONDS;
  terms[1] = work.operations * LAUNCH_SECONDS;
  terms[2] = (bytes.dense + bytes.head) / bandwidth;
  terms[3] = (bytes.experts * touched) / bandwidth;
  terms[4] = (cacheBytes * sequences) / bandwidth;
  terms[5] = (2 * multiplications * sequences) / vector;
  terms[6] = (2 * active * sequences * unpackingWork(configuration)) / vector;
  terms[7] = (work.stateValues * STATE_BYTES * sequences) / bandwidth;
  return terms;
}

function attendedRows(window: number | null, compression: number, context: number): number {
  const rows = Math.max(context, 1) / compression;
  return window === null ? rows : Math.min(rows, window);
}

/**
 * Times at the roof of a prompt of so many tokens, all its ubatches together.
 * @param terms - where the times are written.
 */
export function promptTerms(
  configuration: Configuration,
  tokens: number,
  roofs: Roofs = roofsFor(configuration),
  depth: number = configuration.depth,
  terms: TermSeconds = new Float64Array(PROMPT_TERMS.length),
): TermSeconds {
  const { work, bytes, ubatch, device } = configuration;
  const bandwidth = roofs.bandwidthBytesPerSecond;
  const matmul = roofs.matmulFlopPerSecond ?? Number.NaN;
  const size = Math.min(tokens, ubatch);
  const fullPasses = Math.floor(tokens / size);
  const rest = tokens - fullPasses * size;
  const passes = fullPasses + (rest > 0 ? 1 : 0);
  const perExpert = work.experts === null ? 0 : work.expertWeights / work.experts.count;
  const touched = (batch: number): number =>
    work.experts === null ? 0 : expertsTouched(work.experts.count, work.experts.used, batch);
  const touchedInAll = fullPasses * touched(size) + (rest > 0 ? touched(rest) : 0);
  let multiplications = 0;
  for (const group of work.attention) {
    const full = (tokens * (depth + tokens / 2)) / group.compression;
    const rows =
      group.window === null
        ? full
        : Math.min(full, tokens * (group.window + Math.min(size, group.window) / 2));
    multiplications +=
      group.layers * group.multiplications * Math.max(rows, (tokens * Math.min(size, CACHE_PADDING)) / 2);
  }
  const split = pipelineShare(device.count, passes);
  terms[0] = FIXED_SECONDS * passes;
  terms[1] = passes * work.operations * LAUNCH_SECONDS;
  terms[2] = ((2 * work.denseWeights * tokens) / matmul) * split;
  terms[3] = ((2 * perExpert * (work.experts?.used ?? 0) * tokens) / matmul) * split;
  terms[4] = ((2 * perExpert * touchedInAll) / matmul) * split;
  const expertShare = work.experts === null ? 0 : touchedInAll / work.experts.count;
  terms[5] = (passes * bytes.dense + bytes.head + bytes.experts * expertShare) / bandwidth;
  terms[6] = ((2 * multiplications) / (roofs.attentionFlopPerSecond ?? matmul)) * split;
  terms[7] = ((work.activationValues * ELEMENTWISE_BYTES * tokens) / bandwidth) * split;
  terms[8] = ((work.stateValues * STATE_BYTES * tokens) / bandwidth) * split;
  return terms;
}

/** The share of the time of one device when n devices work on m ubatches in turn: (m + n - 1) / (m n). */
function pipelineShare(devices: number, passes: number): number {
  return (passes + devices - 1) / (passes * devices);
}
