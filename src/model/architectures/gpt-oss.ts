import type { Architecture } from './architecture.ts';
import {
  ATTENTION_BIASES,
  ATTENTION_NORM,
  ATTENTION_PROJECTIONS,
  EMBEDDING_AND_HEAD,
  EXPERT_BIASES,
  EXPERT_FEED_FORWARD,
  expertsOf,
} from './templates.ts';
import { ofLayer } from '../shape.ts';

/** gpt-oss: src/models/openai-moe.cpp of llama.cpp release v0.5.0. */
export const GPT_OSS_ARCHITECTURES: readonly Architecture[] = [
  {
    id: 'gpt-oss',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [
      ATTENTION_NORM,
      ...ATTENTION_PROJECTIONS,
      ...ATTENTION_BIASES,
      { name: 'attn_sinks.weight', role: 'attention-sinks', dims: (s, il) => [ofLayer(s.heads, il)] },
      { name: 'post_attention_norm.weight', role: 'norm', dims: (s) => [s.embeddingLength] },
      ...EXPERT_FEED_FORWARD,
      ...EXPERT_BIASES,
    ],
    metadata: (shape) => [
      ['expert_feed_forward_length', { type: 'u32', value: expertsOf(shape).feedForwardLength }],
    ],
    nativeExpertType: 'MXFP4',
  },
];
