import type { ModelShape } from '../shape.ts';
import type { MetadataEntry } from '../gguf/metadata.ts';
import type { Architecture, TensorTemplate } from './architecture.ts';
import { gatingMetadata } from './expert-scores.ts';
import { DENSE_FEED_FORWARD, MIXED_FEED_FORWARD, SCORE_CORRECTION, SHARED_EXPERTS } from './feed-forward.ts';
import { LATENT_ATTENTION, latentOutputLength } from './latent-attention.ts';
import {
  GATED_LATENT_EXPERTS,
  LATENT_NORM,
  latentLengthMetadata,
  latentProjections,
} from './latent-experts.ts';
import { FULL_OUTPUT_GATE, LOW_RANK_OUTPUT_GATE, isAttentionLayer, kimiDeltaAttention } from './recurrent.ts';
import { ATTENTION_NORM, EMBEDDING_AND_HEAD, FEED_FORWARD_NORM, only, vector } from './templates.ts';

/**
 * What the only model of kimi-k3 says in its header beside its shape: the published config.json
 * (https://huggingface.co/moonshotai/Kimi-K3), `attn_res_block_size`, `activation_situ_beta`,
 * `activation_situ_linear_beta` and `gate_lower_bound`. The first is the number of layers whose sum becomes one of the
 * checkpoints that all later layers read.
 */
const K3_HEADER: readonly MetadataEntry[] = [
  ['attn_res.block_size', { type: 'u32', value: 12 }],
  ['activation.situ_beta', { type: 'f32', value: 4 }],
  ['activation.situ_linear_beta', { type: 'f32', value: 25 }],
  ['kda.gate_lower_bound', { type: 'f32', value: -5 }],
];

const expertMetadata = (shape: ModelShape): MetadataEntry[] => [
  ...gatingMetadata(shape),
  ...latentLengthMetadata('expert_latent_length', shape),
];

/** The gate of Kimi K3's latent attention. */
const ATTENTION_GATE: TensorTemplate = {
  name: 'attn_gate.weight',
  role: 'projection',
  dims: (s, il) => [s.embeddingLength, latentOutputLength(s, il)],
};

/** Kimi Linear and Kimi K3: src/models/kimi-linear.cpp and kimi-k3.cpp of llama.cpp release v0.5.0. */
export const KIMI_ARCHITECTURES: readonly Architecture[] = [
  {
    id: 'kimi-linear',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [
      ATTENTION_NORM,
      ...kimiDeltaAttention(LOW_RANK_OUTPUT_GATE, [1]),
      ...only(isAttentionLayer, LATENT_ATTENTION),
      FEED_FORWARD_NORM,
      ...MIXED_FEED_FORWARD,
    ],
    metadata: expertMetadata,
  },
  {
    id: 'kimi-k3',
    modelTensors: [...EMBEDDING_AND_HEAD, vector('output_res_score.weight', 'bias')],
    layerTensors: [
      ATTENTION_NORM,
      vector('attn_res_score.weight', 'bias'),
      ...kimiDeltaAttention(FULL_OUTPUT_GATE, []),
      ...only(isAttentionLayer, [...LATENT_ATTENTION, ATTENTION_GATE]),
      FEED_FORWARD_NORM,
      vector('ffn_res_score.weight', 'bias'),
      ...DENSE_FEED_FORWARD,
      ...GATED_LATENT_EXPERTS,
      ...latentProjections('routed'),
      ...LATENT_NORM,
      SCORE_CORRECTION,
      ...SHARED_EXPERTS,
    ],
    metadata: (shape) => [...expertMetadata(shape), ...K3_HEADER],
  },
];
