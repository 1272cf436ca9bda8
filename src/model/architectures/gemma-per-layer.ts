import { isExpertLayer, isSlidingWindowLayer, type ModelShape } from '../shape.ts';
import type { Architecture, TensorTemplate } from './architecture.ts';
import { DENSE_FEED_FORWARD, expertsOf, FUSED_EXPERTS, GATED_NETWORK } from './feed-forward.ts';
import {
  ATTENTION_KEY,
  ATTENTION_NORM,
  ATTENTION_OUTPUT,
  ATTENTION_PROJECTIONS,
  ATTENTION_QUERY,
  ATTENTION_VALUE,
  EMBEDDING_AND_HEAD,
  FEED_FORWARD_NORM,
  only,
  POST_NORMS,
  QUERY_KEY_NORMS,
  vector,
} from './templates.ts';

/** Copies of the residual stream of Gemma 3n: `n_altup` in src/llama-hparams.h of llama.cpp release v0.5.0. */
const STREAMS = 4;
/** Rank of the learned residual layer: `laurel_rank`, likewise. */
const LAUREL_RANK = 64;

const perLayerLength = (shape: ModelShape): number => shape.perLayerEmbeddingLength ?? 0;

/** A table that gives each layer an embedding of its own, and the projection into it. */
const PER_LAYER_TABLES: readonly TensorTemplate[] = only(
  (shape) => perLayerLength(shape) > 0,
  [
    {
      name: 'per_layer_token_embd.weight',
      role: 'per-layer-embedding',
      dims: (s) => [perLayerLength(s) * s.layers, s.vocabularySize],
    },
    {
      name: 'per_layer_model_proj.weight',
      role: 'unquantised-projection',
      dims: (s) => [s.embeddingLength, perLayerLength(s) * s.layers],
    },
    { name: 'per_layer_proj_norm.weight', role: 'norm', dims: (s) => [perLayerLength(s)] },
  ],
);

/** What a layer does with its own embedding. */
const PER_LAYER_INPUT: readonly TensorTemplate[] = only(
  (shape) => perLayerLength(shape) > 0,
  [
    { name: 'inp_gate.weight', role: 'projection', dims: (s) => [s.embeddingLength, perLayerLength(s)] },
    { name: 'proj.weight', role: 'projection', dims: (s) => [perLayerLength(s), s.embeddingLength] },
    vector('post_norm.weight', 'post-norm'),
  ],
);

const GEMMA3N_STREAMS: readonly TensorTemplate[] = ['altup_proj.weight', 'altup_unembd_proj.weight'].map(
  (name) => ({
    name,
    role: 'unquantised-projection',
    dims: (s) => [s.embeddingLength, s.embeddingLength, STREAMS - 1],
  }),
);

const GEMMA3N_LAYER: readonly TensorTemplate[] = [
  { name: 'altup_correct_coef.weight', role: 'bias', dims: () => [STREAMS, STREAMS] },
  vector('altup_correct_scale.weight', 'scale'),
  { name: 'altup_predict_coef.weight', role: 'bias', dims: () => [STREAMS, STREAMS * STREAMS] },
  {
    name: 'altup_router.weight',
    role: 'unquantised-projection',
    dims: (s) => [s.embeddingLength, STREAMS],
  },
  vector('altup_router_norm.weight', 'norm'),
  { name: 'laurel_l.weight', role: 'unquantised-projection', dims: (s) => [s.embeddingLength, LAUREL_RANK] },
  { name: 'laurel_r.weight', role: 'unquantised-projection', dims: (s) => [LAUREL_RANK, s.embeddingLength] },
  vector('laurel_post_norm.weight', 'post-norm'),
];

/** Norms and scales around the experts, which work beside the dense network in every layer (26B-A4B). */
const GEMMA4_EXPERTS: readonly TensorTemplate[] = only(isExpertLayer, [
  ...FUSED_EXPERTS,
  vector('ffn_gate_inp.scale', 'scale'),
  { name: 'ffn_down_exps.scale', role: 'scale', dims: (s) => [expertsOf(s).count] },
  vector('pre_ffw_norm_2.weight', 'norm'),
  vector('post_ffw_norm_1.weight', 'norm'),
  vector('post_ffw_norm_2.weight', 'norm'),
]);

const isFull = (shape: ModelShape, layer: number): boolean => !isSlidingWindowLayer(shape, layer);

/**
 * Gemma 3n and 4, whose small models have embeddings for each layer: src/models/gemma3n.cpp and gemma4.cpp of
 * llama.cpp release v0.5.0.
 */
export const PER_LAYER_GEMMA_ARCHITECTURES: readonly Architecture[] = [
  {
    id: 'gemma3n',
    modelTensors: [...EMBEDDING_AND_HEAD, ...GEMMA3N_STREAMS, ...PER_LAYER_TABLES],
    layerTensors: [
      ATTENTION_NORM,
      ...ATTENTION_PROJECTIONS,
      ...QUERY_KEY_NORMS,
      FEED_FORWARD_NORM,
      ...DENSE_FEED_FORWARD,
      ...POST_NORMS,
      ...PER_LAYER_INPUT,
      ...GEMMA3N_LAYER,
    ],
    metadata: () => [],
  },
  {
    id: 'gemma4',
    modelTensors: [
      ...EMBEDDING_AND_HEAD,
      // The full layers rotate a quarter of a head, which the factors say.
      { name: 'rope_freqs.weight', role: 'rope-frequencies', dims: (s) => [s.keyHeadLength / 2] },
      ...PER_LAYER_TABLES,
    ],
    layerTensors: [
      ATTENTION_NORM,
      ATTENTION_QUERY,
      ATTENTION_KEY,
      ...only(
        (shape, layer) => !(shape.slidingWindow?.fullLayersReuseKeys === true && isFull(shape, layer)),
        [ATTENTION_VALUE],
      ),
      ATTENTION_OUTPUT,
      ...QUERY_KEY_NORMS,
      FEED_FORWARD_NORM,
      ...GATED_NETWORK,
      ...GEMMA4_EXPERTS,
      ...POST_NORMS,
      { name: 'layer_output_scale.weight', role: 'scale', dims: () => [1] },
      ...PER_LAYER_INPUT,
    ],
    // The loader takes the factors of the rotation for a full layer alone, and asserts that one has a window.
    needsBothAttentions: true,
    // The loader wants the key even of models without such embeddings.
    metadata: (shape) =>
      shape.perLayerEmbeddingLength === null
        ? [['embedding_length_per_layer_input', { type: 'u32', value: 0 }]]
        : [],
  },
];
