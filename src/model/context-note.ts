import type { ModelShape } from './shape.ts';

/**
 * What to say of a context beyond the one that a model was trained for; null where it is not. llama.cpp allocates it and
 * warns (`n_ctx_seq > n_ctx_train`, src/llama-context.cpp), and what the model then writes is of no use.
 * @param sequenceTokens - of one sequence.
 */
export function contextNote(shape: ModelShape, sequenceTokens: number): string | null {
  if (sequenceTokens <= shape.contextLength) return null;
  const factor = Math.ceil(sequenceTokens / shape.contextLength);
  return `The model was trained for ${shape.contextLength} tokens; beyond that it needs RoPE scaling (--rope-scaling yarn --rope-scale ${factor}), where it was made for that.`;
}
