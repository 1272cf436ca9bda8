import type { TensorRole } from '../architectures/architecture.ts';
import { elementCount } from '../ggml-types.ts';
import { ofLayer, type ModelShape, type RopeScaling } from '../shape.ts';
import { DEFAULT_ROPE_BASE } from './defaults.ts';
import { stateDecays, timeStepBiases } from './recurrent-values.ts';
import type { ModelTensor } from '../tensors.ts';

/** How the weights of a tensor are made. */
export type WeightRecipe =
  | { readonly kind: 'random'; readonly deviation: number }
  /** Values that the engine computes with as they are. */
  | { readonly kind: 'values'; readonly values: Float32Array | Int32Array };

/**
 * How much smaller the matrices that write to the residual stream are than the others. With tenths, even a hundred
 * layers leave the token's own unit-variance embedding the larger part of the residual, so that different tokens
 * choose different experts; at 1 all tokens drift to one common vector and the router collapses.
 */
const RESIDUAL_SHARE = 0.1;
/** Biases and attention sinks: present, of no consequence. */
const BIAS_DEVIATION = 0.02;

type Recipe = (tensor: ModelTensor, shape: ModelShape) => WeightRecipe;

/** Keeps the variance of what it is multiplied with: 1/sqrt(fan-in), the fan-in being the length of a row. */
const projection: Recipe = (tensor) => random(1 / Math.sqrt(ofLayer(tensor.dims, 0)));
const residualProjection: Recipe = (tensor) => random(RESIDUAL_SHARE / Math.sqrt(ofLayer(tensor.dims, 0)));
const bias: Recipe = () => random(BIAS_DEVIATION);

const RECIPES: Record<TensorRole, Recipe> = {
  'token-embedding': () => random(1),
  output: projection,
  'per-layer-embedding': () => random(1),
  norm: (tensor) => constant(tensor, 1),
  'post-norm': (tensor) => constant(tensor, RESIDUAL_SHARE),
  scale: (tensor) => constant(tensor, 1),
  'rope-frequencies': (tensor, shape) => ({ kind: 'values', values: ropeFactors(tensor, shape) }),
  'attention-q': projection,
  'attention-k': projection,
  'attention-v': projection,
  'attention-qkv': projection,
  'attention-output': residualProjection,
  'attention-sinks': bias,
  projection,
  'unquantised-projection': projection,
  'feed-forward-gate': projection,
  'feed-forward-up': projection,
  'feed-forward-down': residualProjection,
  'expert-router': projection,
  // A random router uses all experts alike; against softmax scores of 1/count even small corrections would decide.
  'expert-score-correction': (tensor) => constant(tensor, 0),
  'expert-gate': projection,
  'expert-up': projection,
  'expert-down': residualProjection,
  'residual-projection': residualProjection,
  'full-precision': projection,
  'expert-table': (tensor, shape) => ({ kind: 'values', values: expertTable(tensor, shape) }),
  'state-decay': (tensor) => ({ kind: 'values', values: stateDecays(tensor.dims) }),
  'time-step': (tensor) => ({ kind: 'values', values: timeStepBiases(tensor.dims) }),
  bias,
};

/** How the weights of this tensor are made. */
export function recipeOf(tensor: ModelTensor, shape: ModelShape): WeightRecipe {
  return RECIPES[tensor.role](tensor, shape);
}

function random(deviation: number): WeightRecipe {
  return { kind: 'random', deviation };
}

function constant(tensor: ModelTensor, value: number): WeightRecipe {
  return { kind: 'values', values: new Float32Array(elementCount(tensor.dims)).fill(value) };
}

/** Different experts for each token, all experts equally often. */
function expertTable(tensor: ModelTensor, { experts }: ModelShape): Int32Array {
  const count = experts?.count ?? 1;
  return new Int32Array(elementCount(tensor.dims)).map((_, index) => index % count);
}

/** Llama 3's factors by which the RoPE frequencies are divided, as published with Llama 3.1; 1 for other scalings. */
function ropeFactors(tensor: ModelTensor, shape: ModelShape): Float32Array {
  const scaling: RopeScaling | null = shape.ropeScaling;
  const factors = new Float32Array(elementCount(tensor.dims)).fill(1);
  if (scaling?.kind !== 'llama3') return factors;
  const base = shape.ropeBase ?? DEFAULT_ROPE_BASE;
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalContextLength } = scaling;
  return factors.map((_, index) => {
    const waveLength = 2 * Math.PI * base ** (index / factors.length);
    if (waveLength < originalContextLength / highFrequencyFactor) return 1;
    if (waveLength > originalContextLength / lowFrequencyFactor) return factor;
    const smooth =
      (originalContextLength / waveLength - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}
