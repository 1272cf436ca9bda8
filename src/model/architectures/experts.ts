import { isSlidingWindowLayer, ofLayer, type ModelShape } from '../shape.ts';
import type { MetadataEntry } from '../gguf/metadata.ts';
import type { Architecture, TensorTemplate } from './architecture.ts';
import { EXPERT_GATING } from './expert-scores.ts';
import { expertsOf, MIXED_FEED_FORWARD } from './feed-forward.ts';
import { likeLastLayer } from './next-token-layers.ts';
import {
  ATTENTION_BIASES,
  ATTENTION_NORM,
  ATTENTION_PROJECTIONS,
  ATTENTION_SINKS,
  EMBEDDING_AND_HEAD,
  FEED_FORWARD_NORM,
  FUSED_ATTENTION,
  only,
  QUERY_KEY_NORMS,
  ROPE_FREQUENCIES,
  vector,
  WHOLE_QUERY_KEY_NORMS,
} from './templates.ts';

const SIGMOID_GATING: MetadataEntry = ['expert_gating_func', { type: 'u32', value: EXPERT_GATING.sigmoid }];
/** The weights of the chosen experts sum to one, as the published configurations of those that read the key have it. */
const NORMED_WEIGHTS: MetadataEntry = ['expert_weights_norm', { type: 'bool', value: true }];

/** The width of what all tokens pass. @param each - of one shared expert, where the engine multiplies by their number. */
function sharedExpertWidth(shape: ModelShape, each: 'all' | 'each'): MetadataEntry[] {
  const { shared } = expertsOf(shape);
  if (shared === null) return [];
  const value = each === 'all' ? shared.feedForwardLength : shared.feedForwardLength / shared.count;
  return [['expert_shared_feed_forward_length', { type: 'u32', value }]];
}

/** Experts in every layer, in every second, ...: the engine wants the step even where it is one. */
function expertStep(shape: ModelShape): MetadataEntry {
  return ['interleave_moe_layer_step', { type: 'u32', value: expertsOf(shape).placement?.every ?? 1 }];
}

const PLAIN_TENSORS = [
  ATTENTION_NORM,
  ...ATTENTION_PROJECTIONS,
  ...ATTENTION_BIASES,
  FEED_FORWARD_NORM,
  ...MIXED_FEED_FORWARD,
];

const GLM4_LAYER: readonly TensorTemplate[] = [
  ATTENTION_NORM,
  ...ATTENTION_PROJECTIONS,
  ...ATTENTION_BIASES,
  ...only((shape) => shape.queryKeyNorms === true, QUERY_KEY_NORMS),
  // By its name a norm after the attention, by its place the one before the network.
  vector('post_attention_norm.weight', 'norm'),
  ...MIXED_FEED_FORWARD,
];

/**
 * Mixtures of experts with layers of their own: src/models/llama4.cpp, glm4-moe.cpp, ernie4-5-moe.cpp,
 * hunyuan-moe.cpp, minimax-m2.cpp, olmoe.cpp, dots1.cpp, bailingmoe2.cpp, mimo2.cpp and step35.cpp of llama.cpp
 * release v0.5.0.
 */
export const EXPERT_ARCHITECTURES: readonly Architecture[] = [
  {
    id: 'llama4',
    modelTensors: [...EMBEDDING_AND_HEAD, ROPE_FREQUENCIES],
    layerTensors: PLAIN_TENSORS,
    metadata: (shape) => [expertStep(shape)],
    // The inputs of full layers are made, and never placed, where there is none.
    needsBothAttentions: true,
  },
  {
    id: 'ernie4_5-moe',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: PLAIN_TENSORS,
    metadata: (shape) => [expertStep(shape), ...sharedExpertWidth(shape, 'all')],
  },
  {
    id: 'glm4moe',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: GLM4_LAYER,
    nextTokenLayer: likeLastLayer(GLM4_LAYER),
    metadata: () => [SIGMOID_GATING, NORMED_WEIGHTS],
  },
  {
    id: 'hunyuan-moe',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [...PLAIN_TENSORS, ...QUERY_KEY_NORMS],
    metadata: (shape) => sharedExpertWidth(shape, 'all'),
  },
  {
    id: 'dots1',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [...PLAIN_TENSORS, ...QUERY_KEY_NORMS],
    metadata: () => [SIGMOID_GATING, NORMED_WEIGHTS],
  },
  {
    id: 'minimax-m2',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [...PLAIN_TENSORS, ...WHOLE_QUERY_KEY_NORMS],
    metadata: () => [SIGMOID_GATING],
  },
  {
    id: 'olmoe',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [...PLAIN_TENSORS, ...WHOLE_QUERY_KEY_NORMS],
    metadata: () => [],
  },
  {
    id: 'bailingmoe2',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [
      ATTENTION_NORM,
      ...FUSED_ATTENTION,
      ...QUERY_KEY_NORMS,
      FEED_FORWARD_NORM,
      ...MIXED_FEED_FORWARD,
    ],
    metadata: (shape) => [SIGMOID_GATING, NORMED_WEIGHTS, ...sharedExpertWidth(shape, 'each')],
  },
  {
    id: 'mimo2',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [...PLAIN_TENSORS, ...only(isSlidingWindowLayer, [ATTENTION_SINKS])],
    metadata: () => [SIGMOID_GATING],
  },
  {
    id: 'step35',
    modelTensors: [...EMBEDDING_AND_HEAD, ROPE_FREQUENCIES],
    layerTensors: [
      ...PLAIN_TENSORS,
      ...QUERY_KEY_NORMS,
      {
        name: 'attn_gate.weight',
        role: 'projection',
        dims: (s, il) => [s.embeddingLength, ofLayer(s.heads, il)],
      },
    ],
    metadata: (shape) => [SIGMOID_GATING, NORMED_WEIGHTS, ...sharedExpertWidth(shape, 'all')],
  },
];
