import { layOutGguf, type GgufLayout } from '../gguf/encode-header.ts';
import { DEFAULT_ALIGNMENT, type MetadataEntry, type MetadataValue } from '../gguf/metadata.ts';
import { architectureOf } from '../architectures/registry.ts';
import { fileTypeOf, type MixName } from '../mixes.ts';
import { shapeOfLayers, type ModelShape } from '../shape.ts';
import { allLayers, tensorsOf } from '../tensors.ts';
import { shapeMetadata } from './shape-metadata.ts';
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
  const own: MetadataEntry[] = [...shapeMetadata(ofFile), ...architecture.metadata(ofFile)];
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
    ...(architecture.unprefixedMetadata?.(ofFile) ?? []),
    ...vocabularyMetadata(shape.vocabularySize),
  ];
}

function nameOf(shape: ModelShape, mix: MixName, layers: readonly number[]): string {
  const part = layers.length === shape.layers ? '' : `, ${layers.length} of ${shape.layers} layers`;
  return `${shape.id} ${mix} (synthetic, random weights${part})`;
}

function u32(value: number): MetadataValue {
  return { type: 'u32', value };
}
