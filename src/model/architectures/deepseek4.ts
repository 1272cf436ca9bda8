import type { MetadataEntry } from '../gguf/metadata.ts';
import { ofLayer, type CompressedAttentionShape, type ModelShape } from '../shape.ts';
import type { Architecture, TensorTemplate } from './architecture.ts';
import { EXPERT_GATING } from './expert-scores.ts';
import { ROUTED_EXPERTS, SCORE_CORRECTION, SHARED_EXPERTS, expertsOf } from './feed-forward.ts';
import { indexerOf } from './latent-attention.ts';
import {
  ATTENTION_NORM,
  ATTENTION_SINKS,
  EMBEDDING_AND_HEAD,
  FEED_FORWARD_NORM,
  only,
  queryLength,
  type Condition,
} from './templates.ts';

/** The compressed attention of a shape. @throws TypeError for a shape without: the architecture is made of it. */
function compressedOf(shape: ModelShape): CompressedAttentionShape {
  if (shape.compressedAttention === null) {
    throw new TypeError(`${shape.id}: ${shape.architecture} needs compressed attention`);
  }
  return shape.compressedAttention;
}

/**
 * What both models of deepseek4 say in their headers beside their shapes: the published config.json
 * (https://huggingface.co/deepseek-ai/DeepSeek-V4-Flash), `hc_sinkhorn_iters`, `hc_eps`, `compress_rope_theta`,
 * `swiglu_limit` and `routed_scaling_factor`.
 */
const HEADER: readonly MetadataEntry[] = [
  ['hyper_connection.sinkhorn_iterations', { type: 'u32', value: 20 }],
  ['hyper_connection.epsilon', { type: 'f32', value: 1e-6 }],
  ['attention.compress_rope_freq_base', { type: 'f32', value: 160_000 }],
  ['swiglu_clamp_exp', { type: 'f32', value: 10 }],
  ['expert_weights_scale', { type: 'f32', value: 1.5 }],
  ['expert_weights_norm', { type: 'bool', value: true }],
  ['expert_gating_func', { type: 'u32', value: EXPERT_GATING.squareRootOfSoftplus }],
];

/** The ratio at which an indexer chooses among the compressed rows, and rows overlap. */
const INDEXED_RATIO = 4;
/** Rows that overlap are compressed from two blocks at once: `coff` of load_arch_tensors. */
const OVERLAP = 2;
/** Scales of what is read from, written to and mixed between the copies of the residual stream. */
const CONNECTION_SCALES = 3;

const ratio = (shape: ModelShape, layer: number): number => ofLayer(compressedOf(shape).ratios, layer);
const isCompressed: Condition = (shape, layer) => ratio(shape, layer) > 0;
const isIndexed: Condition = (shape, layer) => ratio(shape, layer) === INDEXED_RATIO;
const isHashRouted: Condition = (shape, layer) => layer < expertsOf(shape).hashRoutedLayers;

const queryRank = (shape: ModelShape): number => compressedOf(shape).queryRank;
const rowLength = (shape: ModelShape, layer: number): number =>
  (isIndexed(shape, layer) ? OVERLAP : 1) * shape.keyHeadLength;
const streamsLength = (shape: ModelShape): number =>
  compressedOf(shape).hyperConnections * shape.embeddingLength;
/** One factor to read each copy, one to write it, and one for each pair of copies. */
const connectionFactors = (shape: ModelShape): number => {
  const { hyperConnections } = compressedOf(shape);
  return (2 + hyperConnections) * hyperConnections;
};

const hyperConnection = (part: string): TensorTemplate[] => [
  { name: `hc_${part}_fn.weight`, role: 'projection', dims: (s) => [streamsLength(s), connectionFactors(s)] },
  { name: `hc_${part}_base.weight`, role: 'bias', dims: (s) => [connectionFactors(s)] },
  { name: `hc_${part}_scale.weight`, role: 'scale', dims: () => [CONNECTION_SCALES] },
];

const compressor = (
  prefix: string,
  length: (shape: ModelShape, layer: number) => number,
  norm: (shape: ModelShape) => number,
): TensorTemplate[] => [
  { name: `${prefix}_kv.weight`, role: 'projection', dims: (s, il) => [s.embeddingLength, length(s, il)] },
  { name: `${prefix}_gate.weight`, role: 'projection', dims: (s, il) => [s.embeddingLength, length(s, il)] },
  { name: `${prefix}_ape.weight`, role: 'projection', dims: (s, il) => [length(s, il), ratio(s, il)] },
  { name: `${prefix}_norm.weight`, role: 'norm', dims: (s) => [norm(s)] },
];

const ATTENTION: readonly TensorTemplate[] = [
  ATTENTION_NORM,
  ATTENTION_SINKS,
  { name: 'attn_q_a.weight', role: 'projection', dims: (s) => [s.embeddingLength, queryRank(s)] },
  { name: 'attn_q_a_norm.weight', role: 'norm', dims: (s) => [queryRank(s)] },
  { name: 'attn_q_b.weight', role: 'projection', dims: (s, il) => [queryRank(s), queryLength(s, il)] },
  { name: 'attn_kv.weight', role: 'projection', dims: (s) => [s.embeddingLength, s.keyHeadLength] },
  { name: 'attn_kv_a_norm.weight', role: 'norm', dims: (s) => [s.keyHeadLength] },
  {
    name: 'attn_output_a.weight',
    role: 'projection',
    dims: (s, il) => {
      const { outputGroups, outputRank } = compressedOf(s);
      return [queryLength(s, il) / outputGroups, outputRank * outputGroups];
    },
  },
  {
    name: 'attn_output_b.weight',
    role: 'residual-projection',
    dims: (s) => [compressedOf(s).outputGroups * compressedOf(s).outputRank, s.embeddingLength],
  },
  ...only(
    isCompressed,
    compressor('attn_compressor', rowLength, (s) => s.keyHeadLength),
  ),
  ...only(isIndexed, [
    { name: 'indexer.proj.weight', role: 'projection', dims: (s) => [s.embeddingLength, indexerOf(s).heads] },
    {
      name: 'indexer.attn_q_b.weight',
      role: 'projection',
      dims: (s) => [queryRank(s), indexerOf(s).heads * indexerOf(s).headLength],
    },
    ...compressor(
      'indexer_compressor',
      (s) => OVERLAP * indexerOf(s).headLength,
      (s) => indexerOf(s).headLength,
    ),
  ]),
];

/** DeepSeek V4: src/models/deepseek4.cpp of llama.cpp release v0.5.0. */
export const DEEPSEEK4_ARCHITECTURES: readonly Architecture[] = [
  {
    id: 'deepseek4',
    modelTensors: [
      ...EMBEDDING_AND_HEAD,
      {
        name: 'output_hc_fn.weight',
        role: 'projection',
        dims: (s) => [streamsLength(s), compressedOf(s).hyperConnections],
      },
      { name: 'output_hc_base.weight', role: 'bias', dims: (s) => [compressedOf(s).hyperConnections] },
      { name: 'output_hc_scale.weight', role: 'scale', dims: () => [1] },
    ],
    layerTensors: [
      ...ATTENTION,
      ...hyperConnection('attn'),
      ...hyperConnection('ffn'),
      FEED_FORWARD_NORM,
      ...ROUTED_EXPERTS,
      {
        name: 'ffn_gate_tid2eid.weight',
        role: 'expert-table',
        dims: (s) => [expertsOf(s).used, s.vocabularySize],
        when: isHashRouted,
      },
      ...only((shape, layer) => !isHashRouted(shape, layer), [SCORE_CORRECTION]),
      ...SHARED_EXPERTS,
    ],
    metadata: (shape) => [
      ...HEADER,
      ['hash_layer_count', { type: 'u32', value: expertsOf(shape).hashRoutedLayers }],
    ],
  },
];
