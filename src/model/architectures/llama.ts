import type { Architecture } from './architecture.ts';
import {
  ATTENTION_BIASES,
  ATTENTION_NORM,
  ATTENTION_PROJECTIONS,
  DENSE_FEED_FORWARD,
  EMBEDDING_AND_HEAD,
  FEED_FORWARD_NORM,
} from './templates.ts';
import { ofLayer } from '../shape.ts';

/** Llama 2 and 3, TinyLlama, Mistral: src/models/llama.cpp of llama.cpp release v0.5.0. */
export const LLAMA_ARCHITECTURES: readonly Architecture[] = [
  {
    id: 'llama',
    modelTensors: [
      ...EMBEDDING_AND_HEAD,
      {
        name: 'rope_freqs.weight',
        role: 'rope-frequencies',
        dims: (shape) => [shape.keyHeadLength / 2],
        when: (shape) => shape.ropeScaling?.kind === 'llama3',
      },
    ],
    layerTensors: [
      ATTENTION_NORM,
      ...ATTENTION_PROJECTIONS,
      ...ATTENTION_BIASES,
      FEED_FORWARD_NORM,
      ...DENSE_FEED_FORWARD,
    ],
    metadata: (shape) => [
      ['vocab_size', { type: 'u32', value: shape.vocabularySize }],
      ['rope.dimension_count', { type: 'u32', value: shape.keyHeadLength }],
    ],
    // 80 layers are 70B with grouped queries, 65B without: the switch in load_arch_hparams.
    isSeventyB: (shape) => shape.layers === 80 && ofLayer(shape.heads, 0) !== ofLayer(shape.kvHeads, 0),
  },
];
