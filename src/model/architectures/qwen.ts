import type { Architecture } from './architecture.ts';
import { DENSE_FEED_FORWARD, MIXED_FEED_FORWARD } from './feed-forward.ts';
import {
  ATTENTION_BIASES,
  ATTENTION_NORM,
  ATTENTION_PROJECTIONS,
  EMBEDDING_AND_HEAD,
  FEED_FORWARD_NORM,
  QUERY_KEY_NORMS,
  rotatedLength,
} from './templates.ts';

const QWEN2_TENSORS = [
  ATTENTION_NORM,
  ...ATTENTION_PROJECTIONS,
  ...ATTENTION_BIASES,
  FEED_FORWARD_NORM,
  ...DENSE_FEED_FORWARD,
];

const QWEN3_TENSORS = [
  ATTENTION_NORM,
  ...ATTENTION_PROJECTIONS,
  ...QUERY_KEY_NORMS,
  FEED_FORWARD_NORM,
  ...MIXED_FEED_FORWARD,
];

/**
 * How many of a head's rotated pairs follow the time, the height and the width of an image: a quarter and the two
 * halves of the rest, as Qwen2-VL has them (16, 24 and 24 of 64; Qwen3-VL 24, 20 and 20). The cost is the same.
 */
const imageSections: Architecture['metadata'] = (shape) => {
  const pairs = rotatedLength(shape, 0) / 2;
  const time = Math.floor(pairs / 4);
  const height = Math.floor((pairs - time) / 2);
  return [['rope.dimension_sections', { type: 'i32[]', value: [time, height, pairs - time - height, 0] }]];
};

/**
 * Qwen 2, 2.5 and 3, their models for images and mixtures of experts: src/models/qwen2.cpp, qwen2vl.cpp, qwen3.cpp,
 * qwen3vl.cpp, qwen3moe.cpp and qwen3vlmoe.cpp of llama.cpp release v0.5.0.
 */
export const QWEN_ARCHITECTURES: readonly Architecture[] = [
  {
    id: 'qwen2',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: QWEN2_TENSORS,
    metadata: () => [],
  },
  {
    id: 'qwen2vl',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: QWEN2_TENSORS,
    metadata: imageSections,
  },
  ...['qwen3', 'qwen3moe'].map((id): Architecture => ({
    id,
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: QWEN3_TENSORS,
    metadata: () => [],
  })),
  ...['qwen3vl', 'qwen3vlmoe'].map((id): Architecture => ({
    id,
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: QWEN3_TENSORS,
    metadata: imageSections,
  })),
];
