import { bytes, type Bytes } from '../units/index.ts';
import { elementCount, tensorBytes, type Dimensions, type GgmlTypeName } from './ggml-types.ts';
import type { MixName } from './mixes.ts';
import { quantisationFacts, TensorTyping } from './quantisation/types-in-mix.ts';
import { architectureOf } from './architectures/registry.ts';
import type { Architecture, TensorRole, TensorTemplate } from './architectures/architecture.ts';
import { shapeOfLayers, type ModelShape } from './shape.ts';

/** A tensor of a model file. */
export interface ModelTensor {
  readonly name: string;
  readonly type: GgmlTypeName;
  /** ggml order: ne0, the length of a row, first. */
  readonly dims: Dimensions;
  /** Without the padding to the file's alignment. */
  readonly bytes: Bytes;
  readonly role: TensorRole;
  /** The layer of the full model that it belongs to; null for tensors of the model as a whole. */
  readonly layer: number | null;
}

/**
 * The tensors of a model file, in file order.
 * @param layers - indices of layers of the full model: layer j of the file is the full model's `layers[j]`, with the
 *   types that it has there. Absent: the whole model.
 * @throws UnsupportedArchitectureError, RangeError when a layer is not one of the model.
 */
export function tensorsOf(shape: ModelShape, mix: MixName, layers?: readonly number[]): ModelTensor[] {
  const architecture = architectureOf(shape.architecture);
  const chosen = layers ?? allLayers(shape);
  for (const layer of chosen) {
    if (!Number.isInteger(layer) || layer < 0 || layer >= shape.layers) {
      throw new RangeError(
        `${shape.id} has the layers 0 to ${shape.layers - 1}; ${layer} is not one of them`,
      );
    }
  }
  const { tensors: whole, typing, listing } = listedTensors(shape, architecture);
  const types = typing.typesIn(mix);
  if (layers === undefined) {
    const typed = whole.map((tensor, index) => typedTensor(tensor, types[index] ?? 'F32'));
    LISTINGS.set(typed, listing);
    return typed;
  }
  const typeOf = new Map(whole.map(({ name }, index) => [name, types[index] ?? 'F32']));
  const typed = (tensor: UntypedTensor): ModelTensor => typedTensor(tensor, typeOf.get(tensor.name) ?? 'F32');
  return [
    ...untypedModelTensors(shapeOfLayers(shape, chosen), architecture).map(typed),
    ...chosen.flatMap((layer, index) =>
      untypedLayerTensors(shape, architecture, layer)
        .map(typed)
        .map((tensor) => ({ ...tensor, name: tensor.name.replace(LAYER_PREFIX, `blk.${index}.`) })),
    ),
  ];
}

/** Whether it is known what the layers are made of that predict further tokens. */
export const hasKnownNextTokenLayers = ({ architecture }: Pick<ModelShape, 'architecture'>): boolean =>
  architectureOf(architecture).nextTokenLayer !== undefined;

/**
 * The tensors of a file that has the layers as well that predict further tokens, which come behind the others.
 * @throws UnsupportedArchitectureError; RangeError when it is not known what those layers are made of.
 */
export function tensorsWithNextTokenLayers(shape: ModelShape, mix: MixName): ModelTensor[] {
  const architecture = architectureOf(shape.architecture);
  if (architecture.nextTokenLayer === undefined && shape.mtpLayers > 0) {
    throw new RangeError(
      `it is not known what the layers of ${shape.id} are made of that predict further tokens`,
    );
  }
  const parts = architecture.nextTokenLayer?.(shape) ?? [];
  const further = Array.from({ length: shape.mtpLayers }, (_, index) => shape.layers + index);
  const whole: UntypedTensor[] = [
    ...untypedTensors(shape, architecture),
    ...further.flatMap((layer) =>
      parts.flatMap(({ like, tensors }) =>
        present(tensors, shape, like).map(({ name, role, dims }) => ({
          name: `blk.${layer}.${name}`,
          part: name,
          role,
          dims: dims(shape, like),
          layer,
        })),
      ),
    ),
  ];
  const facts = quantisationFacts(
    shape,
    architecture.nativeExpertType ?? null,
    shape.layers + shape.mtpLayers,
  );
  const types = new TensorTyping(whole, facts).typesIn(mix);
  return whole.map((tensor, index) => typedTensor(tensor, types[index] ?? 'F32'));
}

const LAYER_PREFIX = /^blk\.\d+\./;

interface UntypedTensor extends Omit<ModelTensor, 'type' | 'bytes'> {
  /** The name without the layer. */
  readonly part: string;
}

const typedTensor = ({ name, dims, role, layer }: UntypedTensor, type: GgmlTypeName): ModelTensor => ({
  name,
  type,
  dims,
  bytes: tensorBytes(type, dims),
  role,
  layer,
});

interface ListedTensors {
  readonly tensors: readonly UntypedTensor[];
  readonly typing: TensorTyping;
  readonly listing: object;
}

/** By list of tensors: what it has in common with those of other mixes. */
const LISTINGS = new WeakMap<readonly ModelTensor[], object>();

/**
 * What lists of tensors have in common that differ by their types alone: the same for the mixes of a shape that are
 * asked for one after the other. A list that {@link tensorsOf} has not made of a whole model has it to itself.
 */
export const withoutTypes = (tensors: readonly ModelTensor[]): object => LISTINGS.get(tensors) ?? tensors;

/** The shape that was listed last: its mixes are asked for one after the other. */
let last: { readonly shape: ModelShape; readonly listed: ListedTensors } | null = null;

/** The tensors of the whole model, and their types in every mix. */
function listedTensors(shape: ModelShape, architecture: Architecture): ListedTensors {
  if (last?.shape === shape) return last.listed;
  const tensors = untypedTensors(shape, architecture);
  const facts = quantisationFacts(shape, architecture.nativeExpertType ?? null);
  const listed = { tensors, typing: new TensorTyping(tensors, facts), listing: {} };
  last = { shape, listed };
  return listed;
}

/** The tensors of the whole model. */
function untypedTensors(shape: ModelShape, architecture: Architecture): UntypedTensor[] {
  const result = untypedModelTensors(shape, architecture);
  for (let layer = 0; layer < shape.layers; layer += 1) {
    for (const tensor of untypedLayerTensors(shape, architecture, layer)) result.push(tensor);
  }
  return result;
}

function untypedModelTensors(ofFile: ModelShape, { modelTensors }: Architecture): UntypedTensor[] {
  return present(modelTensors, ofFile, 0).map(({ name, role, dims }) => ({
    name,
    part: name,
    role,
    dims: dims(ofFile, 0),
    layer: null,
  }));
}

function untypedLayerTensors(
  shape: ModelShape,
  { layerTensors }: Architecture,
  layer: number,
): UntypedTensor[] {
  const prefix = `blk.${layer}.`;
  return present(layerTensors, shape, layer).map(({ name, role, dims }) => ({
    name: prefix + name,
    part: name,
    role,
    dims: dims(shape, layer),
    layer,
  }));
}

/** The layers of the full model, in order. */
export function allLayers(shape: ModelShape): readonly number[] {
  return Array.from({ length: shape.layers }, (_, layer) => layer);
}

function present(templates: readonly TensorTemplate[], shape: ModelShape, layer: number): TensorTemplate[] {
  return templates.filter((template) => template.when?.(shape, layer) ?? true);
}

/** Bytes of the weights of a file, as llama-bench reports `model_size`: no header, no padding. */
export function weightBytes(shape: ModelShape, mix: MixName, layers?: readonly number[]): Bytes {
  return bytes(tensorsOf(shape, mix, layers).reduce((sum, tensor) => sum + tensor.bytes, 0));
}

/** The same in each of several mixes, for less than one by one. */
export function weightBytesInMixes(shape: ModelShape, mixes: readonly MixName[]): Map<MixName, Bytes> {
  const architecture = architectureOf(shape.architecture);
  const { typing } = listedTensors(shape, architecture);
  return new Map(mixes.map((mix) => [mix, bytes(typing.bytesIn(mix))]));
}

/** The number of weights, as llama-bench reports `model_n_params`: RoPE factors and biases included. */
export function parameterCount(shape: ModelShape, layers?: readonly number[]): number {
  return tensorsOf(shape, 'F16', layers).reduce((sum, tensor) => sum + elementCount(tensor.dims), 0);
}

/** The number of weights that one token is multiplied with. */
export function activeParameterCount(shape: ModelShape, layers?: readonly number[]): number {
  return sumActive(shape, tensorsOf(shape, 'F16', layers), (tensor) => elementCount(tensor.dims));
}

/**
 * Bytes of weights that one generated token reads: all dense tensors, the share used/count of the experts, the head;
 * of the embedding table one row, which is left out, unless the table is the head.
 */
export function activeWeightBytesPerToken(
  shape: ModelShape,
  mix: MixName,
  layers?: readonly number[],
): Bytes {
  return bytes(sumActive(shape, tensorsOf(shape, mix, layers), (tensor) => tensor.bytes));
}

/** Roles of tensors that hold one slice for each expert. */
const EXPERT_WEIGHTS: ReadonlySet<TensorRole> = new Set<TensorRole>([
  'expert-gate',
  'expert-up',
  'expert-down',
]);

function sumActive(
  shape: ModelShape,
  tensors: readonly ModelTensor[],
  amount: (tensor: ModelTensor) => number,
): number {
  const expertShare = shape.experts === null ? 1 : shape.experts.used / shape.experts.count;
  return tensors.reduce((sum, tensor) => {
    if (tensor.role === 'token-embedding' && !shape.tiedEmbeddings) return sum;
    if (tensor.role === 'per-layer-embedding') return sum;
    return sum + amount(tensor) * (EXPERT_WEIGHTS.has(tensor.role) ? expertShare : 1);
  }, 0);
}
