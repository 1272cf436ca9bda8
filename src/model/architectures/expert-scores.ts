import type { MetadataEntry } from '../gguf/metadata.ts';
import type { ModelShape } from '../shape.ts';

/** `enum llama_expert_gating_func_type`, src/llama-hparams.h of llama.cpp release v0.5.0. */
export const EXPERT_GATING = { softmax: 1, sigmoid: 2, softmaxOfChosen: 3, squareRootOfSoftplus: 4 } as const;

/** Scores that a correction is added to are sigmoids (DeepSeek V3 and its followers), the others softmaxes. */
export function gatingMetadata(shape: ModelShape): MetadataEntry[] {
  const gating = shape.experts?.scoreCorrection === true ? EXPERT_GATING.sigmoid : EXPERT_GATING.softmax;
  return [
    ['expert_gating_func', { type: 'u32', value: gating }],
    ['expert_weights_norm', { type: 'bool', value: true }],
  ];
}
