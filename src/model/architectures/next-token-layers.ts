import type { ModelShape } from '../shape.ts';
import type { NextTokenPart, TensorTemplate } from './architecture.ts';
import { vector } from './templates.ts';

/**
 * What joins the last hidden state with the next token's embedding, and the norm before the head, which is the
 * model's own: `load_arch_tensors` of src/models/*.cpp, llama.cpp release v0.5.0, of which the files that are
 * published have these.
 */
const JOINT: readonly TensorTemplate[] = [
  {
    name: 'nextn.eh_proj.weight',
    role: 'projection',
    dims: (s) => [2 * s.embeddingLength, s.embeddingLength],
  },
  vector('nextn.enorm.weight', 'norm'),
  vector('nextn.hnorm.weight', 'norm'),
  vector('nextn.shared_head_norm.weight', 'norm'),
];

/** A layer like the model's last one. */
export function likeLastLayer(
  tensors: readonly TensorTemplate[],
): (shape: ModelShape) => readonly NextTokenPart[] {
  return (shape) => [{ like: shape.layers - 1, tensors: [...tensors, ...JOINT] }];
}

/** Parts of different layers of the model folded into one. */
export function likeLayers(
  parts: (shape: ModelShape) => readonly NextTokenPart[],
): (shape: ModelShape) => readonly NextTokenPart[] {
  return (shape) => [...parts(shape), { like: shape.layers - 1, tensors: JOINT }];
}
