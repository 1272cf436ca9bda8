import { layOutGguf, type GgufLayout } from '../gguf/encode-header.ts';
import { DEFAULT_ALIGNMENT, type MetadataEntry, type MetadataValue } from '../gguf/metadata.ts';
import { architectureOf } from '../architectures/registry.ts';
import { fileTypeOf, type MixName } from '../mixes.ts';
import { shapeOfLayers, type ModelShape } from '../shape.ts';
import { allLayers, tensorsOf, tensorsWithNextTokenLayers } from '../tensors.ts';
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
  /** Whether the file has the layers as well that predict further tokens; only of a whole model. */
  readonly nextTokenLayers?: boolean;
}

/** Header and layout of the synthetic file of a model. */
export function planSyntheticFile({ shape, mix, layers, nextTokenLayers }: SyntheticModel): GgufLayout {
  const chosen = layers ?? allLayers(shape);
  const metadata = metadataOf(shape, mix, chosen);
  if (nextTokenLayers !== true) return layOutGguf(metadata, tensorsOf(shape, mix, chosen));
  return layOutGguf(withNextTokenLayers(metadata, shape), tensorsWithNextTokenLayers(shape, mix));
}

/**
 * Metadata of a file with layers that predict further tokens: the loader counts them among the blocks, and lists of
 * layers go on with the value of the last that has what the list counts (`load_hparams`, src/llama-model.cpp).
 */
function withNextTokenLayers(metadata: readonly MetadataEntry[], shape: ModelShape): MetadataEntry[] {
  const blocks = `${shape.architecture}.block_count`;
  return [
    ...metadata.map(([key, value]): MetadataEntry => {
      if (key === blocks) return [key, u32(shape.layers + shape.mtpLayers)];
      return key.endsWith(OF_OWN_LAYERS) ? [key, value] : [key, ofMoreLayers(value, shape)];
    }),
    [`${shape.architecture}.nextn_predict_layers`, u32(shape.mtpLayers)],
  ];
}

/** Read for the model's own layers alone (`load_arch_hparams`, src/models/glm-dsa.cpp). */
const OF_OWN_LAYERS = '.attention.indexer.types';

function ofMoreLayers(entry: MetadataValue, { layers, mtpLayers }: ModelShape): MetadataValue {
  if (entry.type !== 'u32[]' && entry.type !== 'i32[]') return entry;
  const last = entry.value.findLast((value) => value > 0) ?? entry.value.at(-1);
  if (entry.value.length !== layers || last === undefined) return entry;
  return { type: entry.type, value: [...entry.value, ...Array<number>(mtpLayers).fill(last)] };
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
