import { ofLayer, type ModelShape } from '../shape.ts';
import { DEFAULT_NORM_EPSILON } from '../synthetic/defaults.ts';
import type { Architecture, TensorRole, TensorTemplate } from './architecture.ts';
import { recurrentOf } from './recurrent.ts';
import { TOKEN_EMBEDDING, vector } from './templates.ts';

type Ranks = ReturnType<typeof recurrentOf<'rwkv7'>>['loraRanks'];

const ranks = (shape: ModelShape): Ranks => recurrentOf(shape, 'rwkv7').loraRanks;
const networkLength = (shape: ModelShape): number => ofLayer(shape.feedForwardLength, 0);

/** A norm with a bias. */
const layerNorm = (name: string): TensorTemplate[] => [
  vector(`${name}.weight`, 'norm'),
  vector(`${name}.bias`, 'bias'),
];

/** A function of the token through a rank: the matrices to and from it. */
const lowRank = (
  part: string,
  role: TensorRole,
  rank: (shape: ModelShape, layer: number) => number,
): TensorTemplate[] => [
  { name: `time_mix_${part}1.weight`, role, dims: (s, il) => [s.embeddingLength, rank(s, il)] },
  { name: `time_mix_${part}2.weight`, role, dims: (s, il) => [rank(s, il), s.embeddingLength] },
];

const square = (name: string, role: TensorRole): TensorTemplate => ({
  name,
  role,
  dims: (s) => [s.embeddingLength, s.embeddingLength],
});

/** Ratios by which six inputs mix the token with the one before. */
const MIXED_INPUTS = 6;

const TIME_MIX: readonly TensorTemplate[] = [
  vector('time_mix_w0.weight', 'bias'),
  ...lowRank('w', 'full-precision', (s) => ranks(s).decay),
  vector('time_mix_a0.weight', 'bias'),
  ...lowRank('a', 'unquantised-projection', (s) => ranks(s).learningRate),
  vector('time_mix_v0.weight', 'bias'),
  // The first layer has no earlier values to mix; its matrices are there, unused and of another rank.
  ...lowRank('v', 'unquantised-projection', (s, il) => (il === 0 ? ranks(s).learningRate : ranks(s).value)),
  ...lowRank('g', 'unquantised-projection', (s) => ranks(s).gate),
  { name: 'time_mix_lerp_fused.weight', role: 'bias', dims: (s) => [s.embeddingLength, 1, 1, MIXED_INPUTS] },
  vector('time_mix_k_k.weight', 'scale'),
  vector('time_mix_k_a.weight', 'scale'),
  vector('time_mix_r_k.weight', 'bias'),
  square('time_mix_key.weight', 'projection'),
  square('time_mix_value.weight', 'projection'),
  square('time_mix_receptance.weight', 'projection'),
  ...layerNorm('time_mix_ln'),
  square('time_mix_output.weight', 'residual-projection'),
];

const CHANNEL_MIX: readonly TensorTemplate[] = [
  { name: 'channel_mix_lerp_k.weight', role: 'bias', dims: (s) => [s.embeddingLength, 1, 1] },
  {
    name: 'channel_mix_key.weight',
    role: 'projection',
    dims: (s) => [s.embeddingLength, networkLength(s)],
  },
  {
    name: 'channel_mix_value.weight',
    role: 'residual-projection',
    dims: (s) => [networkLength(s), s.embeddingLength],
  },
];

/** RWKV 7: src/models/rwkv7.cpp of llama.cpp release v0.5.0. */
export const RWKV7_ARCHITECTURES: readonly Architecture[] = [
  {
    id: 'rwkv7',
    modelTensors: [
      TOKEN_EMBEDDING,
      ...layerNorm('token_embd_norm'),
      ...layerNorm('output_norm'),
      { name: 'output.weight', role: 'output', dims: (s) => [s.embeddingLength, s.vocabularySize] },
    ],
    layerTensors: [...layerNorm('attn_norm'), ...layerNorm('attn_norm_2'), ...TIME_MIX, ...CHANNEL_MIX],
    metadata: (shape) => [
      ['attention.layer_norm_epsilon', { type: 'f32', value: shape.normEpsilon ?? DEFAULT_NORM_EPSILON }],
    ],
  },
];
