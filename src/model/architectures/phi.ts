import type { Architecture } from './architecture.ts';
import {
  FEED_FORWARD_BIASES,
  FUSED_FEED_FORWARD,
  MIXED_FEED_FORWARD,
  UNGATED_FEED_FORWARD,
} from './feed-forward.ts';
import { LAYER_NORM_EPSILON } from './layer-norm.ts';
import {
  ATTENTION_BIASES,
  ATTENTION_NORM,
  ATTENTION_PROJECTIONS,
  EMBEDDING_AND_HEAD,
  FEED_FORWARD_NORM,
  FUSED_ATTENTION,
  LONG_ROPE_FACTORS,
  vector,
} from './templates.ts';
import type { TensorTemplate } from './architecture.ts';

const BIASED_HEAD: readonly TensorTemplate[] = [
  ...EMBEDDING_AND_HEAD,
  vector('output_norm.bias', 'bias'),
  { name: 'output.bias', role: 'bias', dims: (s) => [s.vocabularySize] },
];

/** Phi 2 to 4: src/models/phi2.cpp, phi3.cpp and phimoe.cpp of llama.cpp release v0.5.0. */
export const PHI_ARCHITECTURES: readonly Architecture[] = [
  {
    id: 'phi2',
    modelTensors: BIASED_HEAD,
    layerTensors: [
      ATTENTION_NORM,
      vector('attn_norm.bias', 'bias'),
      ...ATTENTION_PROJECTIONS,
      ...ATTENTION_BIASES,
      ...UNGATED_FEED_FORWARD,
      ...FEED_FORWARD_BIASES,
    ],
    metadata: LAYER_NORM_EPSILON,
  },
  {
    id: 'phi3',
    modelTensors: [...EMBEDDING_AND_HEAD, ...LONG_ROPE_FACTORS],
    layerTensors: [ATTENTION_NORM, ...FUSED_ATTENTION, FEED_FORWARD_NORM, ...FUSED_FEED_FORWARD],
    metadata: () => [],
  },
  {
    id: 'phimoe',
    modelTensors: [...BIASED_HEAD, ...LONG_ROPE_FACTORS],
    layerTensors: [
      ATTENTION_NORM,
      vector('attn_norm.bias', 'bias'),
      ...ATTENTION_PROJECTIONS,
      ...ATTENTION_BIASES,
      FEED_FORWARD_NORM,
      vector('ffn_norm.bias', 'bias'),
      ...MIXED_FEED_FORWARD,
    ],
    metadata: () => [],
  },
];
