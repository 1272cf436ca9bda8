import type { Architecture, TensorTemplate } from './architecture.ts';
import { gatingMetadata } from './expert-scores.ts';
import { MIXED_FEED_FORWARD } from './feed-forward.ts';
import { LATENT_ATTENTION, SPARSE_INDEXER } from './latent-attention.ts';
import { likeLastLayer } from './next-token-layers.ts';
import { ATTENTION_NORM, EMBEDDING_AND_HEAD, FEED_FORWARD_NORM } from './templates.ts';

const LAYER: readonly TensorTemplate[] = [
  ATTENTION_NORM,
  ...LATENT_ATTENTION,
  FEED_FORWARD_NORM,
  ...MIXED_FEED_FORWARD,
];

const INDEXED_LAYER: readonly TensorTemplate[] = [...LAYER, ...SPARSE_INDEXER];

/**
 * DeepSeek V2 and V3, Kimi K2, GLM 4.7 Flash; with an indexer DeepSeek V3.2 and GLM 5: src/models/deepseek2.cpp,
 * deepseek32.cpp and glm-dsa.cpp of llama.cpp release v0.5.0. The loader of deepseek2 takes every file of 26 or 27 layers
 * for a V2 Lite, which has no compressed queries: it refuses samples of just so many layers of the others.
 */
export const DEEPSEEK_ARCHITECTURES: readonly Architecture[] = [
  {
    id: 'deepseek2',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: LAYER,
    nextTokenLayer: likeLastLayer(LAYER),
    metadata: gatingMetadata,
  },
  {
    id: 'deepseek32',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: INDEXED_LAYER,
    nextTokenLayer: likeLastLayer(INDEXED_LAYER),
    metadata: gatingMetadata,
  },
  {
    id: 'glm-dsa',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: INDEXED_LAYER,
    nextTokenLayer: likeLastLayer(INDEXED_LAYER),
    metadata: gatingMetadata,
  },
];
