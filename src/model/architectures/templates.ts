import { isSlidingWindowLayer, ofLayer, type BiasKind, type ModelShape } from '../shape.ts';
import type { TensorRole, TensorTemplate } from './architecture.ts';

/** Whether a part is in a layer. */
export type Condition = (shape: ModelShape, layer: number) => boolean;
type Length = (shape: ModelShape, layer: number) => number;

/** Lengths that tensors of many architectures share. */
export const embeddingLength: Length = (shape) => shape.embeddingLength;
export const keyHeadLength: Length = (shape, layer) =>
  shape.slidingWindow !== null && isSlidingWindowLayer(shape, layer)
    ? shape.slidingWindow.keyHeadLength
    : shape.keyHeadLength;
const valueHeadLength: Length = (shape, layer) =>
  shape.slidingWindow !== null && isSlidingWindowLayer(shape, layer)
    ? shape.slidingWindow.valueHeadLength
    : shape.valueHeadLength;
export const queryLength: Length = (shape, layer) =>
  ofLayer(shape.heads, layer) * keyHeadLength(shape, layer);
export const keyLength: Length = (shape, layer) =>
  ofLayer(shape.kvHeads, layer) * keyHeadLength(shape, layer);
export const valueLength: Length = (shape, layer) =>
  ofLayer(shape.kvHeads, layer) * valueHeadLength(shape, layer);
const attentionOutputLength: Length = (shape, layer) =>
  ofLayer(shape.heads, layer) * valueHeadLength(shape, layer);
/** Values of a head that are rotated. */
export const rotatedLength: Length = (shape) => shape.ropeDimensions ?? shape.keyHeadLength;

export const hasBias =
  (kind: BiasKind): Condition =>
  (shape) =>
    shape.biases.includes(kind);

/** The templates, each only where the condition holds as well. */
export function only(condition: Condition, templates: readonly TensorTemplate[]): TensorTemplate[] {
  return templates.map((template) => ({
    ...template,
    when: (shape, layer) => condition(shape, layer) && (template.when?.(shape, layer) ?? true),
  }));
}

/** A vector as long as an embedding. */
export function vector(name: string, role: TensorRole): TensorTemplate {
  return { name, role, dims: (shape) => [shape.embeddingLength] };
}

export const TOKEN_EMBEDDING: TensorTemplate = {
  name: 'token_embd.weight',
  role: 'token-embedding',
  dims: (s) => [s.embeddingLength, s.vocabularySize],
};

export const EMBEDDING_AND_HEAD: readonly TensorTemplate[] = [
  TOKEN_EMBEDDING,
  vector('output_norm.weight', 'norm'),
  {
    name: 'output.weight',
    role: 'output',
    dims: (s) => [s.embeddingLength, s.vocabularySize],
    when: (s) => !s.tiedEmbeddings,
  },
];

/** Factors of the rotation's frequencies (Llama 3). */
export const ROPE_FREQUENCIES: TensorTemplate = {
  name: 'rope_freqs.weight',
  role: 'rope-frequencies',
  dims: (s, il) => [rotatedLength(s, il) / 2],
  when: (s) => s.ropeScaling?.kind === 'llama3',
};

/** Factors for long and for short contexts (Phi 3). */
export const LONG_ROPE_FACTORS: readonly TensorTemplate[] = ['long', 'short'].map((kind) => ({
  name: `rope_factors_${kind}.weight`,
  role: 'rope-frequencies',
  dims: (s, il) => [rotatedLength(s, il) / 2],
  when: (s) => s.ropeScaling?.kind === 'longrope',
}));

export const ATTENTION_NORM: TensorTemplate = vector('attn_norm.weight', 'norm');
export const FEED_FORWARD_NORM: TensorTemplate = vector('ffn_norm.weight', 'norm');

/** Norms of the outputs of attention and network, which are then added to the residual stream. */
export const POST_NORMS: readonly TensorTemplate[] = [
  vector('post_attention_norm.weight', 'post-norm'),
  vector('post_ffw_norm.weight', 'post-norm'),
];

const QUERY_BIAS: TensorTemplate = {
  name: 'attn_q.bias',
  role: 'bias',
  dims: (s, il) => [queryLength(s, il)],
  when: hasBias('attention-qkv'),
};

export const ATTENTION_OUTPUT: TensorTemplate = {
  name: 'attn_output.weight',
  role: 'attention-output',
  dims: (s, il) => [attentionOutputLength(s, il), embeddingLength(s, il)],
};

export const ATTENTION_QUERY: TensorTemplate = {
  name: 'attn_q.weight',
  role: 'attention-q',
  dims: (s, il) => [embeddingLength(s, il), queryLength(s, il)],
};
export const ATTENTION_KEY: TensorTemplate = {
  name: 'attn_k.weight',
  role: 'attention-k',
  dims: (s, il) => [embeddingLength(s, il), keyLength(s, il)],
};
export const ATTENTION_VALUE: TensorTemplate = {
  name: 'attn_v.weight',
  role: 'attention-v',
  dims: (s, il) => [embeddingLength(s, il), valueLength(s, il)],
};

export const ATTENTION_PROJECTIONS: readonly TensorTemplate[] = [
  ATTENTION_QUERY,
  ATTENTION_KEY,
  ATTENTION_VALUE,
  ATTENTION_OUTPUT,
];

const ATTENTION_OUTPUT_BIAS: TensorTemplate = {
  ...vector('attn_output.bias', 'bias'),
  when: hasBias('attention-output'),
};

export const ATTENTION_BIASES: readonly TensorTemplate[] = [
  QUERY_BIAS,
  { name: 'attn_k.bias', role: 'bias', dims: (s, il) => [keyLength(s, il)], when: hasBias('attention-qkv') },
  {
    name: 'attn_v.bias',
    role: 'bias',
    dims: (s, il) => [valueLength(s, il)],
    when: hasBias('attention-qkv'),
  },
  ATTENTION_OUTPUT_BIAS,
];

const fusedLength: Length = (s, il) => queryLength(s, il) + keyLength(s, il) + valueLength(s, il);

/** Queries, keys and values as one matrix, as the published files of some architectures have them. */
export const FUSED_ATTENTION: readonly TensorTemplate[] = [
  {
    name: 'attn_qkv.weight',
    role: 'attention-qkv',
    dims: (s, il) => [embeddingLength(s, il), fusedLength(s, il)],
  },
  {
    name: 'attn_qkv.bias',
    role: 'bias',
    dims: (s, il) => [fusedLength(s, il)],
    when: hasBias('attention-qkv'),
  },
  ATTENTION_OUTPUT,
  ATTENTION_OUTPUT_BIAS,
];

/** Norms of each head's queries and keys (Qwen 3). */
export const QUERY_KEY_NORMS: readonly TensorTemplate[] = [
  { name: 'attn_q_norm.weight', role: 'norm', dims: (s, il) => [keyHeadLength(s, il)] },
  { name: 'attn_k_norm.weight', role: 'norm', dims: (s, il) => [keyHeadLength(s, il)] },
];

/** Norms of the queries and keys of all heads together (OLMo 2). */
export const WHOLE_QUERY_KEY_NORMS: readonly TensorTemplate[] = [
  { name: 'attn_q_norm.weight', role: 'norm', dims: (s, il) => [queryLength(s, il)] },
  { name: 'attn_k_norm.weight', role: 'norm', dims: (s, il) => [keyLength(s, il)] },
];

/** One sink for each head. */
export const ATTENTION_SINKS: TensorTemplate = {
  name: 'attn_sinks.weight',
  role: 'attention-sinks',
  dims: (s, il) => [ofLayer(s.heads, il)],
};
