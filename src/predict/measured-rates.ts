import { GGML_TYPES } from '../model/index.ts';
import type { Configuration } from './configuration.ts';
import { logCost } from './cost.ts';
import type { MeasuredRate, Roofs } from './device.ts';
import { TERM_NAMES, type Metric } from './effects.ts';
import { attentionUnits } from './measured-attention.ts';
import type { TypeShare, WeightTypes } from './weight-types.ts';

/**
 * What the products of a whole prompt reach of the same products alone: 0.957 (0.946 to 0.978), measured with eight
 * pairs on a CPU (docs/ceilings.md, "Against a model").
 */
const IN_MODEL_SHARE = 0.957;
/** The batch that the products were timed with: llama.cpp's default ubatch. */
export const MEASURED_BATCH = 512;
/** The widest tile of ggml's matmul kernels (CUDA's `mmq_x_max` is 128; those of CPUs have 16): more tokens fill more. */
export const FULL_BATCH = 128;

/**
 * What the costs of the terms are multiples of on a device whose rates were measured, as multiples of the times at its
 * roofs. What is learned says how far devices stay below their datasheets; measured rates stay below already, so that
 * a unit is the time by the measured rate less what a device of its kind usually loses.
 * @param usual - sums of effects for the batch of the measured products.
 */
export function measuredUnits(
  configuration: Configuration,
  metric: Metric,
  roofs: Roofs,
  usual: Float64Array,
): readonly number[] {
  const { device, bytes } = configuration;
  const rates = device.measured ?? [];
  const names = TERM_NAMES[metric];
  const cost = (name: string): number => Math.exp(logCost(name, usual[names.indexOf(name)] ?? 0));
  const { dense, head, experts } = typesOf(configuration);
  const stretch: Record<string, number> = {
    // Queries are multiplied with a cache of F16 by code of its own, which comes near no product of quantised weights.
    attention: (roofs.attentionFlopPerSecond ?? Number.NaN) / nearestRate(CACHED, rates).flopPerSecond,
  };
  if (metric === 'generation') {
    const bandwidth = roofs.bandwidthBytesPerSecond;
    const whole = bytes.dense + bytes.head;
    const lost = cost('dense');
    stretch['dense'] =
      whole === 0
        ? 1
        : (bandwidth * (bytes.dense / streamRate(dense, rates) + bytes.head / streamRate(head, rates))) /
          whole /
          lost;
    // The matrices of the few experts that a token meets are read as any others are.
    stretch['experts'] = experts.length === 0 ? 1 : bandwidth / streamRate(experts, rates) / cost('experts');
    const attention = attentionUnits(configuration, roofs);
    if (attention !== null) {
      stretch['cache'] = attention.cache / cost('cache');
      stretch['attention'] = attention.attention / cost('attention');
    } else if (device.unit === 'cpu') {
      const stream = nearestRate(CACHED, rates).bytesPerSecond;
      stretch['cache'] = bandwidth / (stream * SCATTERED_SHARE) / cost('cache');
    }
    // Unpacking is in the measured rate of the type.
    stretch['arithmetic'] = 0;
  } else {
    const peak = roofs.matmulFlopPerSecond ?? Number.NaN;
    const lost = cost('matmul') * IN_MODEL_SHARE;
    stretch['matmul'] = peak / productRate(dense, rates) / lost;
    const ofExperts = experts.length === 0 ? 1 : peak / productRate(experts, rates) / lost;
    stretch['expert-matmul'] = ofExperts;
    stretch['dispatch'] = ofExperts;
    // The queries of a prompt are many, so that their products run about as those of F16 weights do.
    stretch['attention'] = (stretch['attention'] ?? 1) / cost('attention');
  }
  return names.map((name) => stretch[name] ?? 1);
}

/** The types of a configuration's parts; where only the name of its quantisation is known, one of about its bits. */
function typesOf({ types, bytes, quantisation, work }: Configuration): WeightTypes {
  if (types !== undefined) return types;
  const of = (bits: number): TypeShare[] => [{ type: `${bits} bits`, weights: 1, bytes: bits / BYTE }];
  const own = of(bytes.bitsPerWeight);
  return {
    dense: own,
    head: of(quantisation.headBitsPerWeight),
    experts: work.experts === null ? [] : own,
  };
}

const BYTE = 8;
/**
 * Of the rate of a stream what a cache is read at on a CPU: a head reads rows of some hundred bytes, each as far from
 * the one before as all heads of a token take (`ggml_compute_forward_flash_attn_ext_f16_one_chunk`, ggml-cpu/ops.cpp
 * v0.5.0). About what six models at depth 2048 showed on two cores of a Zen 4 (docs/accuracy.md): 15 to 20 GB/s of 34,
 * beside a cost for each query head.
 */
const SCATTERED_SHARE = 0.5;
/** llama.cpp's default type of the KV cache. */
const CACHED: TypeShare = { type: 'F16', weights: 1, bytes: 2 };

/** Bytes by the time that they take, each type at its own rate. */
function streamRate(shares: readonly TypeShare[], rates: readonly MeasuredRate[]): number {
  let bytes = 0;
  let time = 0;
  for (const share of shares) {
    bytes += share.bytes;
    time += share.bytes / nearestRate(share, rates).bytesPerSecond;
  }
  return time === 0 ? 1 : bytes / time;
}

function productRate(shares: readonly TypeShare[], rates: readonly MeasuredRate[]): number {
  let weights = 0;
  let time = 0;
  for (const share of shares) {
    weights += share.weights;
    time += share.weights / nearestRate(share, rates).flopPerSecond;
  }
  return time === 0 ? 1 : weights / time;
}

/** The rate of the type, or of the measured one whose weights have the most similar number of bits. */
function nearestRate(share: TypeShare, rates: readonly MeasuredRate[]): MeasuredRate {
  const [first] = rates;
  if (first === undefined) throw new RangeError('a measured device has no measured rate');
  const bits = share.bytes / share.weights;
  const distance = (rate: MeasuredRate): number =>
    rate.type === share.type ? -1 : Math.abs(Math.log(bytesPerWeight(rate.type) / bits));
  return rates.reduce((best, rate) => (distance(rate) < distance(best) ? rate : best), first);
}

function bytesPerWeight(name: string): number {
  const type = Object.entries(GGML_TYPES).find(([each]) => each === name)?.[1];
  return type === undefined ? Number.POSITIVE_INFINITY : type.blockBytes / type.blockSize;
}
