import type { Backend } from './backend.ts';
import { isPartial, offloaded, sendsWeights, type Host } from './offload.ts';
import type { ModelShape, Placement } from '../model/index.ts';
import type { PredictedDevice } from './device.ts';
import type { Quantisation } from './quantisation.ts';
import { cacheBytesPerValue } from './quantisation.ts';
import type { WeightTypes } from './weight-types.ts';
import type { ModelWork } from './work.ts';

/** Which program's figures are predicted: their habits differ. */
export type EngineName = 'llama.cpp' | 'ik_llama.cpp' | 'localscore';

/** Bytes of a model's weights, by how a token reads them. */
export interface WeightBytes {
  readonly dense: number;
  readonly head: number;
  /** Of all routed experts. */
  readonly experts: number;
  readonly bitsPerWeight: number;
}

/** What of a model stays with the processor beside the GPU, and what the GPU has then. */
export interface HostShare extends Host {
  readonly work: ModelWork;
  readonly bytes: WeightBytes;
  readonly gpuWork: ModelWork;
  readonly gpuBytes: WeightBytes;
  readonly crossings: number;
  readonly activationLength: number;
}

/** Everything that decides a prediction, and nothing else. */
export interface Configuration {
  readonly device: PredictedDevice;
  readonly backend: Backend;
  readonly engine: EngineName;
  /** Days since 1970 of the engine's build; null: today's. */
  readonly day: number | null;
  readonly work: ModelWork;
  readonly quantisation: Quantisation;
  readonly bytes: WeightBytes;
  /** Tokens in the cache before the test. */
  readonly depth: number;
  readonly batch: number;
  readonly ubatch: number;
  readonly flashAttention: boolean;
  readonly keyBytes: number;
  readonly valueBytes: number;
  /** The types of its matrices, where the tensors are known. */
  readonly types?: WeightTypes;
  /** Null: all of the model is on the device. */
  readonly host: HostShare | null;
}

/** llama.cpp's defaults (`common_params`, common/common.h, release v0.5.0). */
const DEFAULT_BATCH = 2048;
const DEFAULT_UBATCH = 512;

/** Bits of a weight in an MXFP4 block: 17 bytes for 32 weights (ggml-common.h). */
const MXFP4_BITS = 4.25;
/** gpt-oss has 3 x 2880 biases in F32 for the 3 x 2880 x 2880 weights of an expert (`llm_load_tensors`, LLM_ARCH_OPENAI_MOE). */
const EXPERT_BIAS_BITS = 32 / 2880;
/** Architectures whose experts every published file keeps in MXFP4, whatever the rest is quantised to. */
const NATIVE_MXFP4: ReadonlySet<string> = new Set(['gpt-oss']);

/** Days since 1970 of 2025-09-01: llama.cpp made flash attention automatic at the end of August 2025 (#15434). */
const FLASH_ATTENTION_AUTOMATIC_DAY = 20332;

/**
 * Splits the bytes of a model by how they are read. With the size of the file the split is scaled to it; without,
 * the bits of the quantisation decide.
 */
export function weightBytes(
  work: ModelWork,
  quantisation: Quantisation,
  fileBytes: number | null,
): WeightBytes {
  const bits = quantisation.bitsPerWeight;
  const head = (work.headWeights * quantisation.headBitsPerWeight) / 8;
  const nativeBytes = ((work.expertWeights + work.denseWeights) * MXFP4_BITS) / 8;
  const nativeExperts =
    quantisation.name === 'MXFP4_MOE' ||
    (NATIVE_MXFP4.has(work.architecture) && (fileBytes === null || fileBytes < nativeBytes * EXPANDED_SIZE));
  const expertBits = MXFP4_BITS + (NATIVE_MXFP4.has(work.architecture) ? EXPERT_BIAS_BITS : 0);
  const fixedExperts = nativeExperts ? (work.expertWeights * expertBits) / 8 : 0;
  // Where only the experts are MXFP4 the tables are as fine as the head.
  const tableBits = nativeExperts
    ? quantisation.headBitsPerWeight
    : Math.min(bits, quantisation.headBitsPerWeight);
  const tables = (work.tableWeights * tableBits) / 8;
  const scaledWeights = work.denseWeights + (nativeExperts ? 0 : work.expertWeights);
  const estimate = nativeExperts
    ? (scaledWeights * Math.max(bits, quantisation.headBitsPerWeight)) / 8
    : (scaledWeights * bits) / 8;
  const rest = (fileBytes ?? Number.NaN) - head - tables - fixedExperts;
  const whole = head + tables + fixedExperts + estimate;
  // A size that is far from the shape's is that of another file: a part of a split one, or one with more in it.
  const usable =
    fileBytes !== null &&
    rest > 0 &&
    fileBytes < whole * SIZE_TOLERANCE &&
    fileBytes > whole / SIZE_TOLERANCE;
  const bytes = usable ? Math.max(rest, estimate / SIZE_TOLERANCE) : estimate;
  const experts = nativeExperts ? fixedExperts : (bytes * work.expertWeights) / scaledWeights;
  return {
    dense: nativeExperts ? bytes : bytes - experts,
    head,
    experts,
    bitsPerWeight: (8 * bytes) / scaledWeights,
  };
}

/** A file of a native MXFP4 model that is this much larger than its experts has them in another format. */
const EXPANDED_SIZE = 2;

/** Mixes of one name differ by less than this factor; the largest seen are the UD mixes of small models. */
const SIZE_TOLERANCE = 2.2;

/** Fewer bits a weight than this are no 32-bit matrices. */
const HALVED_BITS = 20;

/** What is known of a test before defaults are filled in; null: not known. */
export interface ConfigurationInput {
  readonly device: PredictedDevice;
  readonly backend: Backend;
  readonly engine: EngineName;
  readonly day: number | null;
  readonly work: ModelWork;
  readonly quantisation: Quantisation;
  readonly fileBytes: number | null;
  readonly depth: number;
  readonly batch: number | null;
  readonly ubatch: number | null;
  readonly flashAttention: boolean | null;
  readonly typeK: string | null;
  readonly typeV: string | null;
  readonly types?: WeightTypes;
  /** Absent: all of the model is on the device. */
  readonly offload?: Offload | null;
}

/** What most tests leave unsaid: llama.cpp of today with its defaults, an empty cache, a file of the usual size. */
export const UNSTATED = {
  engine: 'llama.cpp',
  day: null,
  fileBytes: null,
  depth: 0,
  batch: null,
  ubatch: null,
  flashAttention: null,
  typeK: null,
  typeV: null,
} as const satisfies Partial<ConfigurationInput>;

/** Where the parts of a model are to lie. */
export interface Offload {
  readonly shape: ModelShape;
  readonly placement: Placement;
  readonly host: Host;
}

/** Fills in the defaults of llama.cpp. */
export function configure(input: ConfigurationInput): Configuration {
  const batch = input.batch ?? DEFAULT_BATCH;
  const automatic =
    input.engine !== 'localscore' && (input.day === null || input.day >= FLASH_ATTENTION_AUTOMATIC_DAY);
  const bytes = weightBytes(input.work, input.quantisation, input.fileBytes);
  // Files that are called F32 for their norms keep their matrices in 16 bits: the size tells.
  const halved = input.quantisation.group === 'single' && bytes.bitsPerWeight < HALVED_BITS;
  const quantisation: Quantisation = halved
    ? { ...input.quantisation, group: 'brain-float' }
    : input.quantisation;
  return {
    device: input.device,
    backend: input.backend,
    engine: input.engine,
    day: input.day,
    work: input.work,
    quantisation,
    bytes,
    depth: input.depth,
    batch,
    ubatch: Math.min(input.ubatch ?? DEFAULT_UBATCH, batch),
    flashAttention: input.flashAttention ?? automatic,
    keyBytes: cacheBytesPerValue(input.typeK),
    valueBytes: cacheBytesPerValue(input.typeV),
    ...(input.types === undefined ? {} : { types: input.types }),
    host: hostShare(input, bytes),
  };
}

/** The device for whose share of a prompt no compute peak is published; null: none. */
export function withoutPeak(configuration: Configuration, promptTokens: number): PredictedDevice | null {
  const { device, host, backend, ubatch } = configuration;
  const lacks = ({ peaks }: PredictedDevice): boolean => peaks.fp16 === null && peaks.fp32 === null;
  if (lacks(device)) return device;
  const computes = host !== null && !sendsWeights(backend.family, Math.min(promptTokens, ubatch));
  return computes && lacks(host.device) ? host.device : null;
}

function hostShare({ offload, work }: ConfigurationInput, bytes: WeightBytes): HostShare | null {
  if (offload === undefined || offload === null) return null;
  const { shape, placement, host } = offload;
  if (!isPartial(shape, placement)) return null;
  const parts = offloaded(shape, placement);
  return {
    ...host,
    work: parts.host,
    bytes: bytesOfPart(bytes, work, parts.host),
    gpuWork: parts.gpu,
    gpuBytes: bytesOfPart(bytes, work, parts.gpu),
    crossings: parts.crossings,
    activationLength: parts.activationLength,
  };
}

/** The bytes of a part of a model, all its weights of a kind having the same bits. */
function bytesOfPart(whole: WeightBytes, work: ModelWork, part: ModelWork): WeightBytes {
  const share = (of: number, all: number): number => (all === 0 ? 0 : of / all);
  return {
    dense: whole.dense * share(part.denseWeights, work.denseWeights),
    head: whole.head * share(part.headWeights, work.headWeights),
    experts: whole.experts * share(part.expertWeights, work.expertWeights),
    bitsPerWeight: whole.bitsPerWeight,
  };
}
