import type { Architecture } from './architecture.ts';
import { DENSE_FEED_FORWARD, MIXED_FEED_FORWARD } from './feed-forward.ts';
import {
  ATTENTION_BIASES,
  ATTENTION_NORM,
  ATTENTION_PROJECTIONS,
  EMBEDDING_AND_HEAD,
  FEED_FORWARD_NORM,
  LONG_ROPE_FACTORS,
  only,
  QUERY_KEY_NORMS,
  ROPE_FREQUENCIES,
  rotatedLength,
} from './templates.ts';
import { ofLayer } from '../shape.ts';

const MODEL_TENSORS = [...EMBEDDING_AND_HEAD, ROPE_FREQUENCIES, ...LONG_ROPE_FACTORS];
const LAYER_TENSORS = [
  ATTENTION_NORM,
  ...ATTENTION_PROJECTIONS,
  ...ATTENTION_BIASES,
  FEED_FORWARD_NORM,
  ...MIXED_FEED_FORWARD,
];

const llamaMetadata: Architecture['metadata'] = (shape) => [
  ['vocab_size', { type: 'u32', value: shape.vocabularySize }],
  ['rope.dimension_count', { type: 'u32', value: rotatedLength(shape, 0) }],
];

/**
 * Factors of Granite's scales. That they are there costs operations; their value costs nothing, so these are
 * neutral and keep the weights' variances as they are meant.
 */
const GRANITE_SCALES = ['logit_scale', 'residual_scale', 'embedding_scale'] as const;

/**
 * Llama and what is built like it: src/models/llama.cpp, mistral3.cpp, minicpm.cpp, smollm3.cpp, internlm2.cpp,
 * baichuan.cpp, seed-oss.cpp, granite.cpp, ernie4-5.cpp, hunyuan-dense.cpp and deci.cpp of llama.cpp release v0.5.0.
 */
export const LLAMA_ARCHITECTURES: readonly Architecture[] = [
  {
    id: 'llama',
    modelTensors: MODEL_TENSORS,
    layerTensors: LAYER_TENSORS,
    metadata: llamaMetadata,
  },
  ...['mistral3', 'minicpm', 'smollm3', 'internlm2', 'baichuan', 'ernie4_5'].map((id): Architecture => ({
    id,
    modelTensors: MODEL_TENSORS,
    layerTensors: LAYER_TENSORS,
    metadata: () => [],
  })),
  {
    id: 'granite',
    modelTensors: MODEL_TENSORS,
    layerTensors: LAYER_TENSORS,
    metadata: (shape) => [
      ...GRANITE_SCALES.map((key) => [key, { type: 'f32', value: 1 }] as const),
      ['attention.scale', { type: 'f32', value: 1 / Math.sqrt(shape.keyHeadLength) }],
    ],
  },
  {
    id: 'hunyuan-dense',
    modelTensors: MODEL_TENSORS,
    layerTensors: [...LAYER_TENSORS, ...QUERY_KEY_NORMS],
    metadata: () => [],
  },
  {
    id: 'seed_oss',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [
      ATTENTION_NORM,
      ...ATTENTION_PROJECTIONS,
      ...ATTENTION_BIASES,
      // By its name a norm after the attention, by its place the one before the network.
      { ...FEED_FORWARD_NORM, name: 'post_attention_norm.weight' },
      ...DENSE_FEED_FORWARD,
    ],
    metadata: () => [],
  },
  {
    id: 'deci',
    modelTensors: MODEL_TENSORS,
    layerTensors: [
      // Some layers have no attention, some no network.
      ...only(
        (shape, layer) => ofLayer(shape.kvHeads, layer) > 0,
        [ATTENTION_NORM, ...ATTENTION_PROJECTIONS, ...ATTENTION_BIASES],
      ),
      ...only((shape, layer) => ofLayer(shape.feedForwardLength, layer) > 0, [FEED_FORWARD_NORM]),
      ...DENSE_FEED_FORWARD,
    ],
    metadata: llamaMetadata,
  },
];
