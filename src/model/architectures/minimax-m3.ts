import type { Architecture } from './architecture.ts';
import { gatingMetadata } from './expert-scores.ts';
import { MIXED_FEED_FORWARD } from './feed-forward.ts';
import { BLOCK_INDEXER } from './latent-attention.ts';
import {
  ATTENTION_NORM,
  ATTENTION_PROJECTIONS,
  EMBEDDING_AND_HEAD,
  FEED_FORWARD_NORM,
  QUERY_KEY_NORMS,
} from './templates.ts';

/** MiniMax M3: src/models/minimax-m3.cpp of llama.cpp release v0.5.0. */
export const MINIMAX_M3_ARCHITECTURES: readonly Architecture[] = [
  {
    id: 'minimax-m3',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [
      ATTENTION_NORM,
      ...ATTENTION_PROJECTIONS,
      ...QUERY_KEY_NORMS,
      ...BLOCK_INDEXER,
      FEED_FORWARD_NORM,
      ...MIXED_FEED_FORWARD,
    ],
    metadata: gatingMetadata,
  },
];
