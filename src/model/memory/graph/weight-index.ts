import type { ModelTensor } from '../../tensors.ts';
import { typeId, type TypeId } from './operations.ts';

/** A weight as a graph needs it. */
export interface IndexedWeight {
  /** Its place in the file. */
  readonly index: number;
  readonly type: TypeId;
  readonly dims: readonly number[];
  readonly bytes: number;
  /** It stays in the system's memory whatever the device is like. */
  readonly onHost: boolean;
}

type Names = ReadonlyMap<string, IndexedWeight>;

/** The weights of a model: those of the model as a whole, and by layer, named as after `blk.N.`. */
export interface WeightIndex {
  readonly count: number;
  readonly ofModel: Names;
  readonly ofLayers: readonly Names[];
}

const INDICES = new WeakMap<readonly ModelTensor[], WeightIndex>();

/** The weights by name; the same list is indexed once. */
export function indexWeights(tensors: readonly ModelTensor[]): WeightIndex {
  const before = INDICES.get(tensors);
  if (before !== undefined) return before;
  const ofModel = new Map<string, IndexedWeight>();
  const ofLayers: Map<string, IndexedWeight>[] = [];
  tensors.forEach((tensor, place) => {
    const weight: IndexedWeight = {
      index: place,
      type: typeId(tensor.type),
      dims: tensor.dims,
      bytes: tensor.bytes,
      onHost: isInputTable(tensor) || isReadByProcessor(tensor),
    };
    if (tensor.layer === null) {
      ofModel.set(tensor.name, weight);
      return;
    }
    while (ofLayers.length <= tensor.layer) ofLayers.push(new Map());
    ofLayers[tensor.layer]?.set(tensor.name.slice(tensor.name.indexOf('.', LAYER_PREFIX) + 1), weight);
  });
  const index: WeightIndex = { count: tensors.length, ofModel, ofLayers };
  INDICES.set(tensors, index);
  return index;
}

/** Letters before a layer's number in the names of its tensors: `blk.`. */
const LAYER_PREFIX = 4;

/** Tables that are looked up before the first layer stay in the system's memory (`LLM_TENSOR_LAYER_INPUT`). */
export const isInputTable = ({ role }: Pick<ModelTensor, 'role'>): boolean =>
  role === 'token-embedding' || role === 'per-layer-embedding';

/**
 * Whether no device computes what reads a weight, so that the engine keeps it with the processor (`weight_buft_supported`,
 * src/llama-model-loader.cpp): the decay of each state of Mamba 1, which Vulkan cannot scan. Mamba 2 has one for a head.
 */
export const isReadByProcessor = ({ role, dims }: Pick<ModelTensor, 'role' | 'dims'>): boolean =>
  role === 'state-decay' && dims.length > 1 && dims[0] !== 1;
