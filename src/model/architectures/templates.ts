import { ofLayer, type BiasKind, type ModelShape } from '../shape.ts';
import type { TensorTemplate } from './architecture.ts';

/** Lengths that tensors of many architectures share. */
const queryLength = (shape: ModelShape, layer: number): number =>
  ofLayer(shape.heads, layer) * shape.keyHeadLength;
const keyLength = (shape: ModelShape, layer: number): number =>
  ofLayer(shape.kvHeads, layer) * shape.keyHeadLength;
const valueLength = (shape: ModelShape, layer: number): number =>
  ofLayer(shape.kvHeads, layer) * shape.valueHeadLength;
const attentionOutputLength = (shape: ModelShape, layer: number): number =>
  ofLayer(shape.heads, layer) * shape.valueHeadLength;

const embedding = (shape: ModelShape): number => shape.embeddingLength;
const hasBias =
  (kind: BiasKind) =>
  (shape: ModelShape): boolean =>
    shape.biases.includes(kind);

/** The expert widths of a shape. @throws TypeError for a dense shape: the architecture is made of experts. */
export function expertsOf(shape: ModelShape): NonNullable<ModelShape['experts']> {
  if (shape.experts === null) throw new TypeError(`${shape.id}: ${shape.architecture} needs experts`);
  return shape.experts;
}

export const EMBEDDING_AND_HEAD: readonly TensorTemplate[] = [
  { name: 'token_embd.weight', role: 'token-embedding', dims: (s) => [s.embeddingLength, s.vocabularySize] },
  { name: 'output_norm.weight', role: 'norm', dims: (s) => [embedding(s)] },
  {
    name: 'output.weight',
    role: 'output',
    dims: (s) => [s.embeddingLength, s.vocabularySize],
    when: (s) => !s.tiedEmbeddings,
  },
];

export const ATTENTION_NORM: TensorTemplate = {
  name: 'attn_norm.weight',
  role: 'norm',
  dims: (s) => [embedding(s)],
};

export const ATTENTION_PROJECTIONS: readonly TensorTemplate[] = [
  { name: 'attn_q.weight', role: 'attention-q', dims: (s, il) => [embedding(s), queryLength(s, il)] },
  { name: 'attn_k.weight', role: 'attention-k', dims: (s, il) => [embedding(s), keyLength(s, il)] },
  { name: 'attn_v.weight', role: 'attention-v', dims: (s, il) => [embedding(s), valueLength(s, il)] },
  {
    name: 'attn_output.weight',
    role: 'attention-output',
    dims: (s, il) => [attentionOutputLength(s, il), embedding(s)],
  },
];

export const ATTENTION_BIASES: readonly TensorTemplate[] = [
  {
    name: 'attn_q.bias',
    role: 'bias',
    dims: (s, il) => [queryLength(s, il)],
    when: hasBias('attention-qkv'),
  },
  { name: 'attn_k.bias', role: 'bias', dims: (s, il) => [keyLength(s, il)], when: hasBias('attention-qkv') },
  {
    name: 'attn_v.bias',
    role: 'bias',
    dims: (s, il) => [valueLength(s, il)],
    when: hasBias('attention-qkv'),
  },
  {
    name: 'attn_output.bias',
    role: 'bias',
    dims: (s) => [embedding(s)],
    when: hasBias('attention-output'),
  },
];

/** Norms of each head's queries and keys (Qwen 3). */
export const QUERY_KEY_NORMS: readonly TensorTemplate[] = [
  { name: 'attn_q_norm.weight', role: 'norm', dims: (s) => [s.keyHeadLength] },
  { name: 'attn_k_norm.weight', role: 'norm', dims: (s) => [s.keyHeadLength] },
];

export const FEED_FORWARD_NORM: TensorTemplate = {
  name: 'ffn_norm.weight',
  role: 'norm',
  dims: (s) => [embedding(s)],
};

export const DENSE_FEED_FORWARD: readonly TensorTemplate[] = [
  {
    name: 'ffn_gate.weight',
    role: 'feed-forward-gate',
    dims: (s, il) => [embedding(s), ofLayer(s.feedForwardLength, il)],
  },
  {
    name: 'ffn_up.weight',
    role: 'feed-forward-up',
    dims: (s, il) => [embedding(s), ofLayer(s.feedForwardLength, il)],
  },
  {
    name: 'ffn_down.weight',
    role: 'feed-forward-down',
    dims: (s, il) => [ofLayer(s.feedForwardLength, il), embedding(s)],
  },
];

export const EXPERT_FEED_FORWARD: readonly TensorTemplate[] = [
  {
    name: 'ffn_gate_inp.weight',
    role: 'expert-router',
    dims: (s) => [embedding(s), expertsOf(s).count],
  },
  {
    name: 'ffn_gate_exps.weight',
    role: 'expert-gate',
    dims: (s) => [embedding(s), expertsOf(s).feedForwardLength, expertsOf(s).count],
  },
  {
    name: 'ffn_up_exps.weight',
    role: 'expert-up',
    dims: (s) => [embedding(s), expertsOf(s).feedForwardLength, expertsOf(s).count],
  },
  {
    name: 'ffn_down_exps.weight',
    role: 'expert-down',
    dims: (s) => [expertsOf(s).feedForwardLength, embedding(s), expertsOf(s).count],
  },
];

export const EXPERT_BIASES: readonly TensorTemplate[] = [
  {
    name: 'ffn_gate_inp.bias',
    role: 'bias',
    dims: (s) => [expertsOf(s).count],
    when: hasBias('router'),
  },
  {
    name: 'ffn_gate_exps.bias',
    role: 'bias',
    dims: (s) => [expertsOf(s).feedForwardLength, expertsOf(s).count],
    when: hasBias('experts'),
  },
  {
    name: 'ffn_up_exps.bias',
    role: 'bias',
    dims: (s) => [expertsOf(s).feedForwardLength, expertsOf(s).count],
    when: hasBias('experts'),
  },
  {
    name: 'ffn_down_exps.bias',
    role: 'bias',
    dims: (s) => [embedding(s), expertsOf(s).count],
    when: hasBias('experts'),
  },
];
