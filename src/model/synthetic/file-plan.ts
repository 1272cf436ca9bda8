import { layOutGguf, type GgufLayout } from '../gguf/encode-header.ts';
import { DEFAULT_ALIGNMENT, type MetadataEntry, type MetadataValue } from '../gguf/metadata.ts';
import { architectureOf } from '../architectures/registry.ts';
import { fileTypeOf, type MixName } from '../mixes.ts';
import { ofLayer, type ModelShape, type RopeScaling } from '../shape.ts';
import { allLayers, tensorsOf } from '../tensors.ts';
import { vocabularyMetadata } from './vocabulary.ts';

/** `GGML_QNT_VERSION`, ggml/include/ggml.h. */
const QUANTISATION_VERSION = 2;

/** Which layers of the full model a file has. */
export interface SyntheticModel {
  readonly shape: ModelShape;
  readonly mix: MixName;
  /** Layers of the full model, in file order; absent: all. */
  readonly layers?: readonly number[] | undefined;
}

/** Header and layout of the synthetic file of a model. */
export function planSyntheticFile({ shape, mix, layers }: SyntheticModel): GgufLayout {
  const chosen = layers ?? allLayers(shape);
  return layOutGguf(metadataOf(shape, mix, chosen), tensorsOf(shape, mix, chosen));
}

/** The metadata that the loader of llama.cpp release v0.5.0 reads (`load_hparams`, src/llama-model.cpp). */
function metadataOf(shape: ModelShape, mix: MixName, layers: readonly number[]): MetadataEntry[] {
  const architecture = architectureOf(shape.architecture);
  const own: MetadataEntry[] = [
    ['context_length', u32(shape.contextLength)],
    ['embedding_length', u32(shape.embeddingLength)],
    ['block_count', u32(layers.length)],
    ['feed_forward_length', perLayer(shape.feedForwardLength, layers)],
    ['attention.head_count', perLayer(shape.heads, layers)],
    ['attention.head_count_kv', perLayer(shape.kvHeads, layers)],
    ['attention.key_length', u32(shape.keyHeadLength)],
    ['attention.value_length', u32(shape.valueHeadLength)],
    ['attention.layer_norm_rms_epsilon', { type: 'f32', value: shape.normEpsilon }],
    ['rope.freq_base', { type: 'f32', value: shape.ropeBase }],
    ...ropeScalingMetadata(shape.ropeScaling),
    ...(shape.slidingWindow === null
      ? []
      : ([['attention.sliding_window', u32(shape.slidingWindow.size)]] as const)),
    ...(shape.experts === null
      ? []
      : ([
          ['expert_count', u32(shape.experts.count)],
          ['expert_used_count', u32(shape.experts.used)],
        ] as const)),
    ...architecture.metadata(shape),
  ];
  return [
    ['general.architecture', { type: 'string', value: shape.architecture }],
    ['general.type', { type: 'string', value: 'model' }],
    ['general.name', { type: 'string', value: nameOf(shape, mix, layers) }],
    [
      'general.description',
      {
        type: 'string',
        value: 'Random weights in the shape of the model, written by Ridgepoint to measure speed',
      },
    ],
    ['general.file_type', u32(fileTypeOf(mix))],
    ['general.quantization_version', u32(QUANTISATION_VERSION)],
    ['general.alignment', u32(DEFAULT_ALIGNMENT)],
    ...own.map(([key, value]): MetadataEntry => [`${shape.architecture}.${key}`, value]),
    ...vocabularyMetadata(shape.vocabularySize),
  ];
}

function nameOf(shape: ModelShape, mix: MixName, layers: readonly number[]): string {
  const part = layers.length === shape.layers ? '' : `, ${layers.length} of ${shape.layers} layers`;
  return `${shape.id} ${mix} (synthetic, random weights${part})`;
}

/** Llama 3's scaling travels as a tensor of factors, so its key is absent. */
function ropeScalingMetadata(scaling: RopeScaling | null): MetadataEntry[] {
  if (scaling === null || scaling.kind === 'llama3') return [];
  const common: MetadataEntry[] = [
    ['rope.scaling.type', { type: 'string', value: scaling.kind }],
    ['rope.scaling.factor', { type: 'f32', value: scaling.factor }],
  ];
  if (scaling.kind === 'linear') return common;
  return [
    ...common,
    ['rope.scaling.original_context_length', u32(scaling.originalContextLength)],
    ['rope.scaling.yarn_beta_fast', { type: 'f32', value: scaling.betaFast }],
    ['rope.scaling.yarn_beta_slow', { type: 'f32', value: scaling.betaSlow }],
  ];
}

function u32(value: number): MetadataValue {
  return { type: 'u32', value };
}

/** One number when all layers agree, else one for each layer of the file. */
function perLayer(values: readonly number[], layers: readonly number[]): MetadataValue {
  const chosen = layers.map((layer) => ofLayer(values, layer));
  const first = ofLayer(chosen, 0);
  return chosen.every((value) => value === first) ? u32(first) : { type: 'u32[]', value: chosen };
}
