import type { ModelTensor } from '../../tensors.ts';
import { typeId, type TypeId } from './operations.ts';

/** `LLM_FFN_EXPS_REGEX`, common/common.h: weights and biases of experts. */
export const EXPERT_NAME = /^blk\.\d+\.ffn_(?:up|down|gate|gate_up)_(?:ch|)exps/;

/** Tensors of the model as a whole that the loader makes as part of its first layer (`tn(…, 0)` in src/models). */
export const OF_FIRST_LAYER: Readonly<Record<string, RegExp>> = {
  gemma3n: /^per_layer_(?:model_proj|proj_norm)\./,
  gemma4: /^per_layer_(?:model_proj|proj_norm)\./,
  rwkv7: /^token_embd_norm\./,
};

/** A weight as a graph needs it. */
export interface IndexedWeight {
  /** Its place in the file. */
  readonly index: number;
  readonly type: TypeId;
  readonly dims: readonly number[];
  readonly bytes: number;
  /** It stays in the system's memory whatever the device is like. */
  readonly onHost: boolean;
  /** One of those that `-ncmoe` keeps back. */
  readonly isExpert: boolean;
}

type Names = ReadonlyMap<string, IndexedWeight>;

const INDICES = new WeakMap<readonly ModelTensor[], WeightIndex>();

/** The weights by name; the same list is indexed once. */
export function indexWeights(tensors: readonly ModelTensor[]): WeightIndex {
  const before = INDICES.get(tensors);
  if (before !== undefined) return before;
  const index = new WeightIndex(tensors);
  INDICES.set(tensors, index);
  return index;
}

/** Letters before a layer's number in the names of its tensors: `blk.`. */
const LAYER_PREFIX = 4;
const NONE: Names = new Map();

/** The weights of a model: those of the model as a whole, and those of layers, which few graphs need all of. */
export class WeightIndex {
  readonly #tensors: readonly ModelTensor[];
  readonly ofModel: Names;
  readonly largestBytes: number;
  /** By layer: the places of its tensors in the file. */
  readonly #places: number[][] = [];
  readonly #ofLayers: Names[] = [];

  constructor(tensors: readonly ModelTensor[]) {
    this.#tensors = tensors;
    const ofModel = new Map<string, IndexedWeight>();
    let largest = 0;
    for (let place = 0; place < tensors.length; place += 1) {
      const tensor = tensors[place];
      if (tensor === undefined) continue;
      const { layer } = tensor;
      largest = Math.max(largest, tensor.bytes);
      if (layer === null) {
        ofModel.set(tensor.name, indexed(tensor, place));
      } else {
        while (this.#places.length <= layer) this.#places.push([]);
        this.#places[layer]?.push(place);
      }
    }
    this.ofModel = ofModel;
    this.largestBytes = largest;
  }

  get count(): number {
    return this.#tensors.length;
  }

  /** The weights of a layer, named as after `blk.N.`. */
  ofLayer(layer: number): Names {
    const before = this.#ofLayers[layer];
    if (before !== undefined) return before;
    const places = this.#places[layer];
    if (places === undefined) return NONE;
    const names = new Map<string, IndexedWeight>();
    for (const place of places) {
      const tensor = this.#tensors[place];
      if (tensor === undefined) continue;
      names.set(tensor.name.slice(tensor.name.indexOf('.', LAYER_PREFIX) + 1), indexed(tensor, place));
    }
    this.#ofLayers[layer] = names;
    return names;
  }

  /** The places of a layer's weights that are larger than this, counted from its first. */
  largeOnes(layer: number, bytes: number): string {
    if (this.largestBytes <= bytes) return '';
    const large: number[] = [];
    this.#places[layer]?.forEach((place, index) => {
      if ((this.#tensors[place]?.bytes ?? 0) > bytes) large.push(index);
    });
    return large.join(' ');
  }
}

const indexed = (tensor: ModelTensor, place: number): IndexedWeight => ({
  index: place,
  type: typeId(tensor.type),
  dims: tensor.dims,
  bytes: tensor.bytes,
  onHost: isInputTable(tensor) || isReadByProcessor(tensor),
  isExpert: EXPERT_NAME.test(tensor.name),
});

/** Tables that are looked up before the first layer stay in the system's memory (`LLM_TENSOR_LAYER_INPUT`). */
export const isInputTable = ({ role }: Pick<ModelTensor, 'role'>): boolean =>
  role === 'token-embedding' || role === 'per-layer-embedding';

/**
 * Whether no device computes what reads a weight, so that the engine keeps it with the processor (`weight_buft_supported`,
 * src/llama-model-loader.cpp): the decay of each state of Mamba 1, which Vulkan cannot scan. Mamba 2 has one for a head.
 */
export const isReadByProcessor = ({ role, dims }: Pick<ModelTensor, 'role' | 'dims'>): boolean =>
  role === 'state-decay' && dims.length > 1 && dims[0] !== 1;
