import type { Architecture } from './architecture.ts';
import { DENSE_FEED_FORWARD } from './feed-forward.ts';
import {
  ATTENTION_NORM,
  ATTENTION_PROJECTIONS,
  EMBEDDING_AND_HEAD,
  FEED_FORWARD_NORM,
  POST_NORMS,
  QUERY_KEY_NORMS,
} from './templates.ts';

const FIRST_TENSORS = [ATTENTION_NORM, ...ATTENTION_PROJECTIONS, FEED_FORWARD_NORM, ...DENSE_FEED_FORWARD];

/** Gemma 1 to 3: src/models/gemma.cpp, gemma2.cpp and gemma3.cpp of llama.cpp release v0.5.0. */
export const GEMMA_ARCHITECTURES: readonly Architecture[] = [
  { id: 'gemma', modelTensors: EMBEDDING_AND_HEAD, layerTensors: FIRST_TENSORS, metadata: () => [] },
  {
    id: 'gemma2',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [...FIRST_TENSORS, ...POST_NORMS],
    metadata: () => [],
  },
  {
    id: 'gemma3',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [...FIRST_TENSORS, ...QUERY_KEY_NORMS, ...POST_NORMS],
    metadata: () => [],
  },
];
