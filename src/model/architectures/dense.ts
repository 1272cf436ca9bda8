import type { Architecture, TensorTemplate } from './architecture.ts';
import {
  DENSE_FEED_FORWARD,
  FEED_FORWARD_BIASES,
  FUSED_FEED_FORWARD,
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
  POST_NORMS,
  QUERY_KEY_NORMS,
  queryLength,
  ROPE_FREQUENCIES,
  TOKEN_EMBEDDING,
  vector,
  WHOLE_QUERY_KEY_NORMS,
} from './templates.ts';
import { ofLayer, type ModelShape } from '../shape.ts';

const LAYER_NORM_BIAS = vector('attn_norm.bias', 'bias');
const BIASED_OUTPUT_NORM = [...EMBEDDING_AND_HEAD, vector('output_norm.bias', 'bias')];

/** Layers of Cohere: attention and network side by side behind one norm. */
const PARALLEL_TENSORS = [ATTENTION_NORM, ...ATTENTION_PROJECTIONS, ...DENSE_FEED_FORWARD];
/** The head is always the embedding. */
const TIED_MODEL_TENSORS = [TOKEN_EMBEDDING, vector('output_norm.weight', 'norm')];
/** Models of this many layers have norms of queries and keys: `load_arch_tensors`, src/models/command-r.cpp. */
const COMMAND_R_PLUS_LAYERS = 64;

const cohereMetadata: Architecture['metadata'] = (shape) => [
  ...LAYER_NORM_EPSILON(shape),
  // The logits are multiplied by it; the value costs nothing.
  ['logit_scale', { type: 'f32', value: 1 }],
];

const COMMAND_R_PLUS_NORMS: readonly TensorTemplate[] = (
  [
    ['attn_q_norm.weight', 'heads'],
    ['attn_k_norm.weight', 'kvHeads'],
  ] as const
).map(([name, heads]) => ({
  name,
  role: 'norm',
  dims: (s, il) => [s.keyHeadLength, ofLayer(s[heads], il)],
  when: (s) => s.layers >= COMMAND_R_PLUS_LAYERS,
}));

/** The trained constants of the activation xIELU of each layer; as published for one layer of Apertus 8B, rounded. */
const XIELU = { alpha_n: 0.8, alpha_p: 0.8, beta: 0.5, eps: -1e-6 } as const;

/**
 * Dense architectures with layers of their own: src/models/olmo2.cpp, exaone4.cpp, glm4.cpp, command-r.cpp,
 * cohere2.cpp, starcoder2.cpp, falcon.cpp, apertus.cpp and bitnet.cpp of llama.cpp release v0.5.0.
 */
export const DENSE_ARCHITECTURES: readonly Architecture[] = [
  {
    id: 'olmo2',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [...ATTENTION_PROJECTIONS, ...WHOLE_QUERY_KEY_NORMS, ...DENSE_FEED_FORWARD, ...POST_NORMS],
    metadata: () => [],
  },
  {
    id: 'exaone4',
    modelTensors: [...EMBEDDING_AND_HEAD, ROPE_FREQUENCIES],
    layerTensors: [...ATTENTION_PROJECTIONS, ...QUERY_KEY_NORMS, ...DENSE_FEED_FORWARD, ...POST_NORMS],
    metadata: () => [],
  },
  {
    id: 'glm4',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [
      ATTENTION_NORM,
      ...ATTENTION_PROJECTIONS,
      ...ATTENTION_BIASES,
      FEED_FORWARD_NORM,
      ...FUSED_FEED_FORWARD,
      ...POST_NORMS,
    ],
    metadata: () => [],
  },
  {
    id: 'command-r',
    modelTensors: TIED_MODEL_TENSORS,
    layerTensors: [...PARALLEL_TENSORS, ...COMMAND_R_PLUS_NORMS],
    metadata: cohereMetadata,
  },
  {
    id: 'cohere2',
    modelTensors: TIED_MODEL_TENSORS,
    layerTensors: PARALLEL_TENSORS,
    metadata: cohereMetadata,
  },
  {
    id: 'starcoder2',
    modelTensors: BIASED_OUTPUT_NORM,
    layerTensors: [
      ATTENTION_NORM,
      LAYER_NORM_BIAS,
      ...ATTENTION_PROJECTIONS,
      ...ATTENTION_BIASES,
      FEED_FORWARD_NORM,
      vector('ffn_norm.bias', 'bias'),
      ...UNGATED_FEED_FORWARD,
      ...FEED_FORWARD_BIASES,
    ],
    metadata: LAYER_NORM_EPSILON,
  },
  {
    id: 'falcon',
    modelTensors: BIASED_OUTPUT_NORM,
    layerTensors: [ATTENTION_NORM, LAYER_NORM_BIAS, ...FUSED_ATTENTION, ...UNGATED_FEED_FORWARD],
    metadata: LAYER_NORM_EPSILON,
  },
  {
    id: 'apertus',
    modelTensors: [...EMBEDDING_AND_HEAD, ROPE_FREQUENCIES],
    layerTensors: [
      ATTENTION_NORM,
      ...ATTENTION_PROJECTIONS,
      ...QUERY_KEY_NORMS,
      FEED_FORWARD_NORM,
      ...UNGATED_FEED_FORWARD,
    ],
    metadata: () => [],
    unprefixedMetadata: (shape) =>
      Object.entries(XIELU).map(([key, value]) => [
        `xielu.${key}`,
        { type: 'f32[]', value: Array<number>(shape.layers).fill(value) },
      ]),
  },
  {
    id: 'bitnet',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [
      ATTENTION_NORM,
      ...ATTENTION_PROJECTIONS,
      { name: 'attn_sub_norm.weight', role: 'norm', dims: (s, il) => [queryLength(s, il)] },
      FEED_FORWARD_NORM,
      ...DENSE_FEED_FORWARD,
      { name: 'ffn_sub_norm.weight', role: 'norm', dims: (s, il) => [feedForwardLength(s, il)] },
    ],
    metadata: () => [],
  },
];

function feedForwardLength(shape: ModelShape, layer: number): number {
  return ofLayer(shape.feedForwardLength, layer);
}
