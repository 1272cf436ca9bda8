import type { Architecture } from './architecture.ts';
import { EXPERT_BIASES, ROUTED_EXPERTS } from './feed-forward.ts';
import {
  ATTENTION_BIASES,
  ATTENTION_NORM,
  ATTENTION_PROJECTIONS,
  ATTENTION_SINKS,
  EMBEDDING_AND_HEAD,
  vector,
} from './templates.ts';

/** gpt-oss: src/models/openai-moe.cpp of llama.cpp release v0.5.0. */
export const GPT_OSS_ARCHITECTURES: readonly Architecture[] = [
  {
    id: 'gpt-oss',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [
      ATTENTION_NORM,
      ...ATTENTION_PROJECTIONS,
      ...ATTENTION_BIASES,
      ATTENTION_SINKS,
      vector('post_attention_norm.weight', 'norm'),
      ...ROUTED_EXPERTS,
      ...EXPERT_BIASES,
    ],
    metadata: () => [],
    nativeExpertType: 'MXFP4',
  },
];
