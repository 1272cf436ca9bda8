import type { Architecture } from './architecture.ts';
import {
  ATTENTION_BIASES,
  ATTENTION_NORM,
  ATTENTION_PROJECTIONS,
  DENSE_FEED_FORWARD,
  EMBEDDING_AND_HEAD,
  EXPERT_FEED_FORWARD,
  FEED_FORWARD_NORM,
  QUERY_KEY_NORMS,
  expertsOf,
} from './templates.ts';

/** Qwen 2.5 and 3: src/models/qwen2.cpp, qwen3.cpp and qwen3moe.cpp of llama.cpp release v0.5.0. */
export const QWEN_ARCHITECTURES: readonly Architecture[] = [
  {
    id: 'qwen2',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [
      ATTENTION_NORM,
      ...ATTENTION_PROJECTIONS,
      ...ATTENTION_BIASES,
      FEED_FORWARD_NORM,
      ...DENSE_FEED_FORWARD,
    ],
    metadata: () => [],
    // Every qwen2 model of 80 layers is a 70B one to llama.cpp: the switch in load_arch_hparams.
    isSeventyB: (shape) => shape.layers === 80,
  },
  {
    id: 'qwen3',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [
      ATTENTION_NORM,
      ...ATTENTION_PROJECTIONS,
      ...QUERY_KEY_NORMS,
      FEED_FORWARD_NORM,
      ...DENSE_FEED_FORWARD,
    ],
    metadata: () => [],
  },
  {
    id: 'qwen3moe',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [
      ATTENTION_NORM,
      ...ATTENTION_PROJECTIONS,
      ...QUERY_KEY_NORMS,
      FEED_FORWARD_NORM,
      ...EXPERT_FEED_FORWARD,
    ],
    metadata: (shape) => [
      ['expert_feed_forward_length', { type: 'u32', value: expertsOf(shape).feedForwardLength }],
    ],
  },
];
