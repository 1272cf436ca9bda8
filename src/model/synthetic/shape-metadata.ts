import type { MetadataEntry, MetadataValue } from '../gguf/metadata.ts';
import { isExpertLayer, ofLayer, type ExpertShape, type ModelShape, type RopeScaling } from '../shape.ts';
import { mechanismMetadata } from './mechanism-metadata.ts';
import { DEFAULT_NORM_EPSILON, DEFAULT_ROPE_BASE } from './defaults.ts';

/**
 * What a shape says in the header of a file, in keys that mean the same to all architectures, without the
 * architecture's prefix: `load_hparams` and `load_arch_hparams` of llama.cpp release v0.5.0.
 * @param shape - of the layers of the file.
 */
export function shapeMetadata(shape: ModelShape): MetadataEntry[] {
  return [
    ['context_length', u32(shape.contextLength)],
    ['embedding_length', u32(shape.embeddingLength)],
    ['block_count', u32(shape.layers)],
    ['feed_forward_length', perLayer(feedForwardLengths(shape))],
    ['attention.head_count', perLayer(shape.heads)],
    ['attention.head_count_kv', perLayer(kvHeadCounts(shape))],
    ['attention.key_length', u32(shape.keyHeadLength)],
    ['attention.value_length', u32(shape.valueHeadLength)],
    ['attention.layer_norm_rms_epsilon', f32(shape.normEpsilon ?? DEFAULT_NORM_EPSILON)],
    ['rope.freq_base', f32(shape.ropeBase ?? DEFAULT_ROPE_BASE)],
    ...optional('rope.dimension_count', rotatedDimensions(shape), u32),
    ...ropeScalingMetadata(shape.ropeScaling),
    ...slidingWindowMetadata(shape),
    ...(shape.sharedKvLayers === 0
      ? []
      : [['attention.shared_kv_layers', u32(shape.sharedKvLayers)] satisfies MetadataEntry]),
    ...optional('embedding_length_per_layer_input', shape.perLayerEmbeddingLength, u32),
    ...(shape.experts === null ? [] : expertMetadata(shape.experts)),
    ...mechanismMetadata(shape),
  ];
}

/** Latent attention rotates a part of the head that its own record names. */
function rotatedDimensions({
  latentAttention,
  compressedAttention,
  ropeDimensions,
}: ModelShape): number | null {
  return latentAttention?.ropeHeadLength ?? compressedAttention?.ropeHeadLength ?? ropeDimensions;
}

/**
 * Loaders of architectures whose files say by an interval which layers attend read one number for all layers, and the
 * widths of the attention from it.
 */
function kvHeadCounts({ recurrent, kvHeads }: ModelShape): readonly number[] {
  if (recurrent === null || recurrent.fullAttentionEvery === null) return kvHeads;
  return kvHeads.map(() => Math.max(...kvHeads));
}

/** Where no dense network says otherwise, the width is that of the experts: many loaders read theirs there. */
function feedForwardLengths(shape: ModelShape): readonly number[] {
  return shape.feedForwardLength.map((dense, layer) =>
    dense === 0 && isExpertLayer(shape, layer) ? (shape.experts?.feedForwardLength ?? 0) : dense,
  );
}

/** The scalings of Llama 3 and Phi 3 travel as tensors of factors, so their key is absent. */
function ropeScalingMetadata(scaling: RopeScaling | null): MetadataEntry[] {
  switch (scaling?.kind) {
    case undefined:
    case 'llama3':
      return [];
    case 'longrope':
      return optional('rope.scaling.original_context_length', scaling.originalContextLength, u32);
    case 'linear':
      return ropeScalingKind(scaling.kind, scaling.factor);
    case 'yarn':
      return [
        ...ropeScalingKind(scaling.kind, scaling.factor),
        ['rope.scaling.original_context_length', u32(scaling.originalContextLength)],
        ...optional('rope.scaling.yarn_beta_fast', scaling.betaFast, f32),
        ...optional('rope.scaling.yarn_beta_slow', scaling.betaSlow, f32),
      ];
  }
}

function ropeScalingKind(kind: string, factor: number): MetadataEntry[] {
  return [
    ['rope.scaling.type', { type: 'string', value: kind }],
    ['rope.scaling.factor', f32(factor)],
  ];
}

function slidingWindowMetadata({ slidingWindow: window, ...shape }: ModelShape): MetadataEntry[] {
  if (window === null) return [];
  const sameHeads =
    window.keyHeadLength === shape.keyHeadLength && window.valueHeadLength === shape.valueHeadLength;
  return [
    ['attention.sliding_window', u32(window.size)],
    // With a period the engine knows by itself which layers have the window.
    ...(window.period === null
      ? [
          [
            'attention.sliding_window_pattern',
            { type: 'u32[]', value: window.onLayers.map(Number) },
          ] satisfies MetadataEntry,
        ]
      : []),
    ...(sameHeads
      ? []
      : ([
          ['attention.key_length_swa', u32(window.keyHeadLength)],
          ['attention.value_length_swa', u32(window.valueHeadLength)],
          ['rope.dimension_count_swa', u32(window.keyHeadLength)],
        ] satisfies MetadataEntry[])),
    ...optional('rope.freq_base_swa', window.ropeBase, f32),
  ];
}

function expertMetadata(experts: ExpertShape): MetadataEntry[] {
  return [
    ['expert_count', u32(experts.count)],
    ['expert_used_count', u32(experts.used)],
    ['expert_feed_forward_length', u32(experts.feedForwardLength)],
    ...optional('expert_shared_count', experts.shared?.count, u32),
    ...(experts.leadingDenseLayers === 0
      ? []
      : [['leading_dense_block_count', u32(experts.leadingDenseLayers)] satisfies MetadataEntry]),
    ...optional('expert_group_count', experts.groups?.count, u32),
    ...optional('expert_group_used_count', experts.groups?.used, u32),
  ];
}

function optional(
  key: string,
  value: number | null | undefined,
  encode: (value: number) => MetadataValue,
): MetadataEntry[] {
  return value === null || value === undefined ? [] : [[key, encode(value)]];
}

function u32(value: number): MetadataValue {
  return { type: 'u32', value };
}

function f32(value: number): MetadataValue {
  return { type: 'f32', value };
}

/** One number when all layers agree, else one for each layer of the file. */
function perLayer(values: readonly number[]): MetadataValue {
  const first = ofLayer(values, 0);
  return values.every((value) => value === first) ? u32(first) : { type: 'u32[]', value: values };
}
