import { layOutGguf, type GgufLayout } from '../gguf/encode-header.ts';
import { DEFAULT_ALIGNMENT, type MetadataEntry, type MetadataValue } from '../gguf/metadata.ts';
import { architectureOf } from '../architectures/registry.ts';
import { fileTypeOf, type MixName } from '../mixes.ts';
import { ofLayer, shapeOfLayers, type ModelShape, type RopeScaling } from '../shape.ts';
import { allLayers, tensorsOf } from '../tensors.ts';
import { DEFAULT_NORM_EPSILON, DEFAULT_ROPE_BASE } from './defaults.ts';
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
  const ofFile = shapeOfLayers(shape, layers);
  const own: MetadataEntry[] = [
    ['context_length', u32(shape.contextLength)],
    ['embedding_length', u32(shape.embeddingLength)],
    ['block_count', u32(ofFile.layers)],
    ['feed_forward_length', perLayer(ofFile.feedForwardLength)],
    ['attention.head_count', perLayer(ofFile.heads)],
    ['attention.head_count_kv', perLayer(ofFile.kvHeads)],
    ['attention.key_length', u32(shape.keyHeadLength)],
    ['attention.value_length', u32(shape.valueHeadLength)],
    ['attention.layer_norm_rms_epsilon', { type: 'f32', value: shape.normEpsilon ?? DEFAULT_NORM_EPSILON }],
    ['rope.freq_base', { type: 'f32', value: shape.ropeBase ?? DEFAULT_ROPE_BASE }],
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
    ...architecture.metadata(ofFile),
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

/** The scalings of Llama 3 and Phi 3 travel as tensors of factors, so their key is absent. */
function ropeScalingMetadata(scaling: RopeScaling | null): MetadataEntry[] {
  if (scaling === null || scaling.kind === 'llama3' || scaling.kind === 'longrope') return [];
  const common: MetadataEntry[] = [
    ['rope.scaling.type', { type: 'string', value: scaling.kind }],
    ['rope.scaling.factor', { type: 'f32', value: scaling.factor }],
  ];
  if (scaling.kind === 'linear') return common;
  return [
    ...common,
    ['rope.scaling.original_context_length', u32(scaling.originalContextLength)],
    ...optionalF32('rope.scaling.yarn_beta_fast', scaling.betaFast),
    ...optionalF32('rope.scaling.yarn_beta_slow', scaling.betaSlow),
  ];
}

function optionalF32(key: string, value: number | undefined): MetadataEntry[] {
  return value === undefined ? [] : [[key, { type: 'f32', value }]];
}

function u32(value: number): MetadataValue {
  return { type: 'u32', value };
}

/** One number when all layers agree, else one for each layer of the file. */
function perLayer(values: readonly number[]): MetadataValue {
  const first = ofLayer(values, 0);
  return values.every((value) => value === first) ? u32(first) : { type: 'u32[]', value: values };
}
