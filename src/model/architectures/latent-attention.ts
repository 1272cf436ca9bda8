import { ofLayer, type IndexerShape, type LatentAttentionShape, type ModelShape } from '../shape.ts';
import type { TensorTemplate } from './architecture.ts';
import { only, type Condition } from './templates.ts';

/** The latent attention of a shape. @throws TypeError for a shape without: the architecture is made of it. */
export function latentOf(shape: ModelShape): LatentAttentionShape {
  if (shape.latentAttention === null) {
    throw new TypeError(`${shape.id}: ${shape.architecture} needs latent attention`);
  }
  return shape.latentAttention;
}

/** The indexer of a shape. @throws TypeError for a shape without: the architecture is made of it. */
export function indexerOf(shape: ModelShape): IndexerShape {
  if (shape.indexer === null) throw new TypeError(`${shape.id}: ${shape.architecture} needs an indexer`);
  return shape.indexer;
}

const heads = (shape: ModelShape, layer: number): number => ofLayer(shape.heads, layer);
const compressesQueries: Condition = (shape) => latentOf(shape).queryRank !== null;
const queryRank = (shape: ModelShape): number => latentOf(shape).queryRank ?? 0;
const queryLength = (shape: ModelShape, layer: number): number =>
  heads(shape, layer) * latentOf(shape).keyHeadLength;
/** The part of a key that is not rotated, and so is compressed. */
const compressedKeyLength = (shape: ModelShape): number =>
  latentOf(shape).keyHeadLength - latentOf(shape).ropeHeadLength;

/** Length of what attention hands to its output projection. */
export const latentOutputLength = (shape: ModelShape, layer: number): number =>
  heads(shape, layer) * latentOf(shape).valueHeadLength;

/**
 * Multi-head latent attention with the decompression of keys and values as two tensors, as files have it since May
 * 2025: `load_arch_tensors` of src/models/deepseek2.cpp, llama.cpp release v0.5.0.
 */
export const LATENT_ATTENTION: readonly TensorTemplate[] = [
  ...only(compressesQueries, [
    { name: 'attn_q_a_norm.weight', role: 'norm', dims: (s) => [queryRank(s)] },
    { name: 'attn_q_a.weight', role: 'projection', dims: (s) => [s.embeddingLength, queryRank(s)] },
    { name: 'attn_q_b.weight', role: 'projection', dims: (s, il) => [queryRank(s), queryLength(s, il)] },
  ]),
  {
    name: 'attn_q.weight',
    role: 'attention-q',
    dims: (s, il) => [s.embeddingLength, queryLength(s, il)],
    when: (s) => latentOf(s).queryRank === null,
  },
  { name: 'attn_kv_a_norm.weight', role: 'norm', dims: (s) => [latentOf(s).kvRank] },
  {
    name: 'attn_kv_a_mqa.weight',
    role: 'projection',
    dims: (s) => [s.embeddingLength, latentOf(s).kvRank + latentOf(s).ropeHeadLength],
  },
  {
    name: 'attn_k_b.weight',
    role: 'projection',
    dims: (s, il) => [compressedKeyLength(s), latentOf(s).kvRank, heads(s, il)],
  },
  {
    name: 'attn_v_b.weight',
    role: 'projection',
    dims: (s, il) => [latentOf(s).kvRank, latentOf(s).valueHeadLength, heads(s, il)],
  },
  {
    name: 'attn_output.weight',
    role: 'attention-output',
    dims: (s, il) => [latentOutputLength(s, il), s.embeddingLength],
  },
];

const hasIndexer: Condition = (shape, layer) => ofLayer(indexerOf(shape).onLayers, layer);

/** The indexer of DeepSeek's sparse attention: src/models/deepseek32.cpp. */
export const SPARSE_INDEXER: readonly TensorTemplate[] = only(hasIndexer, [
  { name: 'indexer.k_norm.weight', role: 'norm', dims: (s) => [indexerOf(s).headLength] },
  { name: 'indexer.k_norm.bias', role: 'bias', dims: (s) => [indexerOf(s).headLength] },
  { name: 'indexer.proj.weight', role: 'projection', dims: (s) => [s.embeddingLength, indexerOf(s).heads] },
  {
    name: 'indexer.attn_k.weight',
    role: 'projection',
    dims: (s) => [s.embeddingLength, indexerOf(s).headLength],
  },
  {
    name: 'indexer.attn_q_b.weight',
    role: 'projection',
    dims: (s) => [queryRank(s), indexerOf(s).heads * indexerOf(s).headLength],
  },
]);

/** The indexer of MiniMax's sparse attention, whose projections its quantiser leaves alone: src/models/minimax-m3.cpp. */
export const BLOCK_INDEXER: readonly TensorTemplate[] = only(hasIndexer, [
  {
    name: 'indexer.q_proj.weight',
    role: 'unquantised-projection',
    dims: (s) => [s.embeddingLength, indexerOf(s).heads * indexerOf(s).headLength],
  },
  {
    name: 'indexer.k_proj.weight',
    role: 'unquantised-projection',
    dims: (s) => [s.embeddingLength, indexerOf(s).headLength],
  },
  { name: 'indexer.q_norm.weight', role: 'norm', dims: (s) => [indexerOf(s).headLength] },
  { name: 'indexer.k_norm.weight', role: 'norm', dims: (s) => [indexerOf(s).headLength] },
]);
