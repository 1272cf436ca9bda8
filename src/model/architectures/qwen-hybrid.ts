import type { ModelShape } from '../shape.ts';
import type { Architecture, TensorTemplate } from './architecture.ts';
import { GATED_NETWORK, MIXED_FEED_FORWARD, expertsOf } from './feed-forward.ts';
import { likeLastLayer } from './next-token-layers.ts';
import { FUSED_HEAD_GATES, SEPARATE_HEAD_GATES, gatedDeltaNet, isAttentionLayer } from './recurrent.ts';
import {
  ATTENTION_KEY,
  ATTENTION_NORM,
  ATTENTION_OUTPUT,
  ATTENTION_VALUE,
  EMBEDDING_AND_HEAD,
  QUERY_KEY_NORMS,
  only,
  queryLength,
  rotatedLength,
  vector,
} from './templates.ts';

/** Attention whose queries come with a gate of their own length for the output. */
const GATED_ATTENTION: readonly TensorTemplate[] = only(isAttentionLayer, [
  {
    name: 'attn_q.weight',
    role: 'attention-q',
    dims: (s, il) => [s.embeddingLength, 2 * queryLength(s, il)],
  },
  ATTENTION_KEY,
  ATTENTION_VALUE,
  ATTENTION_OUTPUT,
  ...QUERY_KEY_NORMS,
]);

const NORMS: readonly TensorTemplate[] = [ATTENTION_NORM, vector('post_attention_norm.weight', 'norm')];

/** The gate of the shared expert, a vector. */
const SHARED_EXPERT_GATE: TensorTemplate = {
  name: 'ffn_gate_inp_shexp.weight',
  role: 'bias',
  dims: (s) => [s.embeddingLength],
  when: (s) => expertsOf(s).shared !== null,
};

/** A third of the rotated pairs each for time, height and width, as published: 11, 11 and 10 of 32. */
function ropeSections(shape: ModelShape): number[] {
  const pairs = rotatedLength(shape, 0) / 2;
  const third = Math.ceil(pairs / 3);
  return [third, third, pairs - 2 * third, 0];
}

const sharedWidth = (shape: ModelShape): number => expertsOf(shape).shared?.feedForwardLength ?? 0;

/** The layers that predict further tokens attend as the last one does. */
const MIXTURE_LAYER: readonly TensorTemplate[] = [
  ...NORMS,
  ...GATED_ATTENTION,
  ...MIXED_FEED_FORWARD,
  SHARED_EXPERT_GATE,
];

/** Qwen 3 Next, 3.5 and their followers: src/models/qwen3next.cpp, qwen35.cpp and qwen35moe.cpp, release v0.5.0. */
export const QWEN_HYBRID_ARCHITECTURES: readonly Architecture[] = [
  {
    id: 'qwen3next',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [
      ...NORMS,
      ...GATED_ATTENTION,
      ...gatedDeltaNet(FUSED_HEAD_GATES),
      ...MIXED_FEED_FORWARD,
      SHARED_EXPERT_GATE,
    ],
    nextTokenLayer: likeLastLayer(MIXTURE_LAYER),
    metadata: (shape) => [['expert_shared_feed_forward_length', { type: 'u32', value: sharedWidth(shape) }]],
  },
  {
    id: 'qwen35',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [...NORMS, ...GATED_ATTENTION, ...gatedDeltaNet(SEPARATE_HEAD_GATES), ...GATED_NETWORK],
    nextTokenLayer: likeLastLayer([...NORMS, ...GATED_ATTENTION, ...GATED_NETWORK]),
    metadata: (shape) => [['rope.dimension_sections', { type: 'i32[]', value: ropeSections(shape) }]],
  },
  {
    id: 'qwen35moe',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [
      ...NORMS,
      ...GATED_ATTENTION,
      ...gatedDeltaNet(SEPARATE_HEAD_GATES),
      ...MIXED_FEED_FORWARD,
      SHARED_EXPERT_GATE,
    ],
    nextTokenLayer: likeLastLayer(MIXTURE_LAYER),
    metadata: (shape) => [
      ['expert_shared_feed_forward_length', { type: 'u32', value: sharedWidth(shape) }],
      ['rope.dimension_sections', { type: 'i32[]', value: ropeSections(shape) }],
    ],
  },
];
