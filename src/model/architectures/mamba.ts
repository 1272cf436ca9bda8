import type { Architecture, TensorTemplate } from './architecture.ts';
import { DENSE_FEED_FORWARD, ROUTED_EXPERTS } from './feed-forward.ts';
import { MAMBA_1, isAttentionLayer, recurrentOf } from './recurrent.ts';
import {
  ATTENTION_NORM,
  ATTENTION_PROJECTIONS,
  EMBEDDING_AND_HEAD,
  FEED_FORWARD_NORM,
  only,
} from './templates.ts';

const recurrentVector = (
  name: string,
  length: (recurrent: ReturnType<typeof recurrentOf<'mamba1'>>) => number,
): TensorTemplate => ({
  name,
  role: 'norm',
  dims: (s) => [length(recurrentOf(s, 'mamba1'))],
  when: (s, il) => !isAttentionLayer(s, il),
});

/** Jamba's norms of the time step and of the two projections of the state. */
const STATE_NORMS: readonly TensorTemplate[] = [
  recurrentVector('ssm_dt_norm.weight', ({ timeStepRank }) => timeStepRank),
  recurrentVector('ssm_b_norm.weight', ({ stateLength }) => stateLength),
  recurrentVector('ssm_c_norm.weight', ({ stateLength }) => stateLength),
];

/** Mamba and Jamba: src/models/mamba.cpp and jamba.cpp of llama.cpp release v0.5.0. */
export const MAMBA_ARCHITECTURES: readonly Architecture[] = [
  {
    id: 'mamba',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [ATTENTION_NORM, ...MAMBA_1],
    metadata: () => [],
  },
  {
    id: 'jamba',
    modelTensors: EMBEDDING_AND_HEAD,
    layerTensors: [
      ATTENTION_NORM,
      ...MAMBA_1,
      ...STATE_NORMS,
      ...only(isAttentionLayer, ATTENTION_PROJECTIONS),
      FEED_FORWARD_NORM,
      ...DENSE_FEED_FORWARD,
      ...ROUTED_EXPERTS,
    ],
    metadata: () => [],
  },
];
