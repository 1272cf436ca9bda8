import type { MetadataEntry } from '../gguf/metadata.ts';
import type { ModelShape } from '../shape.ts';
import { DEFAULT_NORM_EPSILON } from '../synthetic/defaults.ts';
import type { Architecture, TensorTemplate } from './architecture.ts';
import { gatingMetadata } from './expert-scores.ts';
import { GATED_NETWORK, MIXED_FEED_FORWARD, SCORE_CORRECTION, UNGATED_FEED_FORWARD } from './feed-forward.ts';
import {
  UNGATED_LATENT_EXPERTS,
  UNGATED_SHARED_EXPERTS,
  latentLengthMetadata,
  latentProjections,
  sharedExpertLength,
} from './latent-experts.ts';
import { likeLayers } from './next-token-layers.ts';
import { MAMBA_2, isAttentionLayer } from './recurrent.ts';
import {
  ATTENTION_BIASES,
  ATTENTION_NORM,
  ATTENTION_PROJECTIONS,
  EMBEDDING_AND_HEAD,
  FEED_FORWARD_NORM,
  only,
  vector,
} from './templates.ts';

const ATTENTION: readonly TensorTemplate[] = only(isAttentionLayer, [
  ...ATTENTION_PROJECTIONS,
  ...ATTENTION_BIASES,
]);

const sharedExpertMetadata = (shape: ModelShape): MetadataEntry[] => [
  ['expert_shared_feed_forward_length', { type: 'u32', value: sharedExpertLength(shape) }],
];

const NEMOTRON_EXPERTS: readonly TensorTemplate[] = [
  ...UNGATED_LATENT_EXPERTS,
  ...latentProjections('latent'),
  SCORE_CORRECTION,
  ...UNGATED_SHARED_EXPERTS,
];

/** Each layer is one of a Mamba 2 block, an attention and a network: src/models/nemotron-h.cpp, release v0.5.0. */
const NEMOTRON_LAYER: readonly TensorTemplate[] = [
  ATTENTION_NORM,
  ...MAMBA_2,
  ...ATTENTION,
  ...UNGATED_FEED_FORWARD,
  ...NEMOTRON_EXPERTS,
];

/** Nemotron's loader wants the epsilon of a second kind of norm as well. */
const nemotronMetadata = (shape: ModelShape): MetadataEntry[] => [
  ['attention.layer_norm_epsilon', { type: 'f32', value: shape.normEpsilon ?? DEFAULT_NORM_EPSILON }],
];

/** Nemotron 3, Granite 4 H and Falcon H1: src/models/nemotron-h.cpp, granite-hybrid.cpp and falcon-h1.cpp. */
export const MAMBA_2_ARCHITECTURES: readonly Architecture[] = [
  {
    id: 'nemotron_h',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: NEMOTRON_LAYER,
    metadata: nemotronMetadata,
  },
  {
    id: 'nemotron_h_moe',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: NEMOTRON_LAYER,
    nextTokenLayer: likeLayers(({ layers, experts, kvHeads }) => [
      { like: kvHeads.findLastIndex((heads) => heads > 0), tensors: [ATTENTION_NORM, ...ATTENTION] },
      {
        like: experts?.onLayers.lastIndexOf(true) ?? layers - 1,
        tensors: [vector('post_attention_norm.weight', 'norm'), ...NEMOTRON_EXPERTS],
      },
    ]),
    metadata: (shape) => [
      ...nemotronMetadata(shape),
      ...gatingMetadata(shape),
      ...sharedExpertMetadata(shape),
      ...latentLengthMetadata('moe_latent_size', shape),
    ],
  },
  {
    id: 'granitehybrid',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [ATTENTION_NORM, ...MAMBA_2, ...ATTENTION, FEED_FORWARD_NORM, ...MIXED_FEED_FORWARD],
    metadata: (shape) => [
      ...sharedExpertMetadata(shape),
      // Its attention knows no positions: the switch in load_arch_hparams.
      ['rope.scaling.finetuned', { type: 'bool', value: false }],
    ],
  },
  {
    id: 'falcon-h1',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [
      ATTENTION_NORM,
      ...MAMBA_2,
      ...ATTENTION_PROJECTIONS,
      ...ATTENTION_BIASES,
      // The loader asks for it without the usual ending.
      { ...FEED_FORWARD_NORM, name: 'ffn_norm' },
      ...GATED_NETWORK,
    ],
    metadata: () => [],
  },
];
