import {
  fewestRunnableLayers,
  sampleComposition,
  sampleLayers,
  planSyntheticFile,
  weightBytes,
  type MixName,
  type ModelShape,
} from '../model/index.ts';
import { bytes, formatBytes, type Bytes } from '../units/index.ts';

/** Which layers of a synthetic model are run: all of them, counts that the user named, or what suits the machine. */
export type LayerChoice = 'auto' | 'all' | readonly number[];

/** What a machine can hold; null is unknown and does not limit. */
export interface LayerLimits {
  readonly memoryBytes: Bytes | null;
  readonly diskBytes: Bytes | null;
  readonly lastLevelCacheBytes: Bytes | null;
}

/** The files of a model that are run together: one with all layers, or several samples of rising size. */
export interface LayerPlan {
  /** Full-model layer indices of each file. */
  readonly samples: readonly (readonly number[])[];
  readonly warnings: readonly string[];
}

/** The model cannot be run here, not even a few of its layers. */
export class LayerPlanError extends Error {
  override readonly name = 'LayerPlanError';
  /** What the points of the model are recorded as. */
  readonly kind: 'out-of-memory' | 'load-failed' | 'unsupported';

  constructor(kind: LayerPlanError['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Layers of the smaller sample: even, because mixes and windows alternate between layers. */
const USUAL_COUNT = 4;
const SMALLEST_COUNT = 2;
/**
 * The larger sample is this share of the layers: noise in the cost of a layer counts (layers - mean) / (larger -
 * smaller) times in the whole, about twice with a third of the layers and six times with an eighth and a quarter.
 */
const LARGER_SHARE = 0.4;
/**
 * The sampled layers must not stay in a cache from one token to the next, for the whole model would not: their
 * weights exceed the last-level cache this many times.
 */
const CACHE_MULTIPLE = 4;
/** A sample of more layers than this share of the model saves too little time: the whole is run. */
const WORTH_SAMPLING = 0.75;
/** Weights may fill this share of the memory: the engine repacks them, and needs buffers besides. */
const MEMORY_SHARE = 0.45;
/** Largest deviation of the shares of layer kinds from the full model's that passes without a warning. */
const COMPOSITION_TOLERANCE = 0.05;

/**
 * Decides which layers stand for the whole model.
 * @throws LayerPlanError when even the smallest sample does not fit, or the counts make no sense.
 */
export function planLayers(
  shape: ModelShape,
  mix: MixName,
  choice: LayerChoice,
  limits: LayerLimits,
): LayerPlan {
  if (choice === 'all') return fits(shape, mix, [shape.layers], limits);
  if (choice !== 'auto') return fits(shape, mix, checkedCounts(shape, choice), limits);
  const perLayer = weightBytes(shape, mix) / shape.layers;
  const needed = ((limits.lastLevelCacheBytes ?? 0) * CACHE_MULTIPLE) / perLayer;
  const smaller = Math.max(USUAL_COUNT, 2 * Math.ceil(needed / 2));
  if (2 * smaller > shape.layers * WORTH_SAMPLING) return fits(shape, mix, [shape.layers], limits);
  const larger = Math.max(2 * smaller, 2 * Math.round((shape.layers * LARGER_SHARE) / 2));
  const smallest = Math.max(SMALLEST_COUNT, fewestRunnableLayers(shape));
  const pairs = [
    [smaller, larger],
    [smaller, 2 * smaller],
    [smallest, 2 * smallest],
  ];
  return firstThatFits(shape, mix, pairs, limits);
}

function firstThatFits(
  shape: ModelShape,
  mix: MixName,
  pairs: readonly (readonly number[])[],
  limits: LayerLimits,
): LayerPlan {
  for (const pair of pairs.slice(0, -1)) {
    try {
      return fits(shape, mix, pair, limits);
    } catch (error) {
      if (!(error instanceof LayerPlanError)) throw error;
    }
  }
  return fits(shape, mix, pairs.at(-1) ?? [], limits);
}

function checkedCounts(shape: ModelShape, counts: readonly number[]): readonly number[] {
  const rising = counts.every((count, index) => index === 0 || count > (counts[index - 1] ?? 0));
  const whole = counts.length === 1 && counts[0] === shape.layers;
  if ((counts.length < 2 && !whole) || !rising || counts.some((count) => count < 1 || count > shape.layers)) {
    throw new LayerPlanError(
      'unsupported',
      `--layers ${counts.join(',')} does not suit ${shape.id}: give two or more rising counts up to its ${shape.layers} layers, "all", or "auto".`,
    );
  }
  const fewest = fewestRunnableLayers(shape);
  if (counts.some((count) => count < fewest)) {
    throw new LayerPlanError(
      'unsupported',
      `--layers ${counts.join(',')} does not suit ${shape.id}: llama.cpp runs no fewer than ${fewest} of its layers; start with ${fewest} or more.`,
    );
  }
  return counts;
}

function fits(shape: ModelShape, mix: MixName, counts: readonly number[], limits: LayerLimits): LayerPlan {
  const samples = counts.map((count) => sampleLayers(shape, mix, count));
  const sizes = samples.map((layers) => planSyntheticFile({ shape, mix, layers }).fileBytes);
  const total = bytes(sizes.reduce((sum, size) => sum + size, 0));
  const what = `${shape.id}:${mix} with ${counts.join(' and ')} of ${shape.layers} layers`;
  // A whole model may fill the memory: its pages come from the file and can be dropped. Samples are loaded together.
  const usable =
    limits.memoryBytes === null ? null : limits.memoryBytes * (counts.length === 1 ? 1 : MEMORY_SHARE);
  if (usable !== null && total > usable) {
    throw new LayerPlanError(
      'out-of-memory',
      `${what} needs ${formatBytes(total)}; ${formatBytes(bytes(usable))} of memory can be used for weights. Choose a smaller model or quantisation, or fewer layers (--layers).`,
    );
  }
  if (limits.diskBytes !== null && total > limits.diskBytes) {
    throw new LayerPlanError(
      'load-failed',
      `${what} needs ${formatBytes(total)} of disk; ${formatBytes(limits.diskBytes)} are free in the cache folder. Free some, or run: ridgepoint cache clear`,
    );
  }
  const warnings = samples
    .map((layers) => ({ layers, deviation: sampleComposition(shape, mix, layers).largestDeviation }))
    .filter(({ deviation }) => deviation > COMPOSITION_TOLERANCE)
    .map(
      ({ layers, deviation }) =>
        `the ${layers.length} sampled layers differ from the whole model's mix of layers by ${(deviation * 100).toFixed(0)} %`,
    );
  return { samples, warnings };
}
