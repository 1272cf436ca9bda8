import type { Architecture, TensorTemplate } from './architecture.ts';
import { gatingMetadata } from './expert-scores.ts';
import { MIXED_FEED_FORWARD } from './feed-forward.ts';
import { SHORT_CONVOLUTION, isAttentionLayer } from './recurrent.ts';
import {
  ATTENTION_NORM,
  ATTENTION_PROJECTIONS,
  EMBEDDING_AND_HEAD,
  FEED_FORWARD_NORM,
  QUERY_KEY_NORMS,
  only,
} from './templates.ts';

/** The last norm goes by the name of one behind the embedding. */
const MODEL_TENSORS: readonly TensorTemplate[] = EMBEDDING_AND_HEAD.map((template) =>
  template.name === 'output_norm.weight' ? { ...template, name: 'token_embd_norm.weight' } : template,
);

const LAYER: readonly TensorTemplate[] = [
  ATTENTION_NORM,
  ...SHORT_CONVOLUTION,
  ...only(isAttentionLayer, [...ATTENTION_PROJECTIONS, ...QUERY_KEY_NORMS]),
  FEED_FORWARD_NORM,
  ...MIXED_FEED_FORWARD,
];

/** LFM 2: src/models/lfm2.cpp and lfm2moe.cpp of llama.cpp release v0.5.0. */
export const LFM2_ARCHITECTURES: readonly Architecture[] = [
  { id: 'lfm2', modelTensors: MODEL_TENSORS, layerTensors: LAYER, metadata: () => [] },
  { id: 'lfm2moe', modelTensors: MODEL_TENSORS, layerTensors: LAYER, metadata: gatingMetadata },
];
