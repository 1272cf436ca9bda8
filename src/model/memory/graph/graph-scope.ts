import { ofLayer, type ModelShape } from '../../shape.ts';
import type { ModelTensor } from '../../tensors.ts';
import { kvCaches, type KvCache } from '../kv-state.ts';
import { recurrentLayers, stateLengths } from '../recurrent-state.ts';
import type { ResolvedContext } from '../settings.ts';
import { OP, rowSize, TYPE, typeId } from './operations.ts';
import { PLACE, TensorGraph, type Tensor } from './tensor-graph.ts';

/** Where a layer's cache lies, as the engine makes it. */
export interface LayerCache {
  readonly key: Tensor;
  /** -1: the keys are the values. */
  readonly value: Tensor;
  /** Cells of a stream. */
  readonly cells: number;
  readonly streams: number;
}

/** Sizes of a graph's weights, by their names. */
export type WeightIndex = ReadonlyMap<string, ModelTensor>;

const INDICES = new WeakMap<readonly ModelTensor[], WeightIndex>();

/** The weights by name; the same list is indexed once. */
export function indexWeights(tensors: readonly ModelTensor[]): WeightIndex {
  const before = INDICES.get(tensors);
  if (before !== undefined) return before;
  const index: WeightIndex = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  INDICES.set(tensors, index);
  return index;
}

/** Tables that are looked up before the first layer stay in the system's memory (`LLM_TENSOR_LAYER_INPUT`). */
export const isInputTable = ({ role }: Pick<ModelTensor, 'role'>): boolean =>
  role === 'token-embedding' || role === 'per-layer-embedding';

/**
 * Whether no device computes what reads a weight, so that the engine keeps it with the processor (`weight_buft_supported`,
 * src/llama-model-loader.cpp): the decay of each state of Mamba 1, which Vulkan cannot scan. Mamba 2 has one for a head.
 */
export const isReadByProcessor = ({ role, dims }: Pick<ModelTensor, 'role' | 'dims'>): boolean =>
  role === 'state-decay' && dims.length > 1 && dims[0] !== 1;

/** What the functions that build a graph share: `llm_graph_context`, src/llama-graph.h. */
export class GraphScope {
  readonly graph = new TensorGraph();
  readonly shape: ModelShape;
  readonly context: ResolvedContext;
  /** Tokens of the graph: a full ubatch, in equal parts for all sequences. */
  readonly tokens: number;
  readonly #weights: WeightIndex;
  /** Weights that are larger stay with the processor. */
  readonly #maxTensorBytes: number;
  readonly #leafs = new Map<string, Tensor>();
  readonly #caches: readonly KvCache[];

  constructor(shape: ModelShape, context: ResolvedContext, weights: WeightIndex, maxTensorBytes: number) {
    this.shape = shape;
    this.context = context;
    this.#weights = weights;
    this.#maxTensorBytes = maxTensorBytes;
    this.#caches = kvCaches(shape, context);
    // `graph_reserve`, src/llama-context.cpp.
    const wanted = Math.min(context.contextTokens, context.ubatchTokens);
    this.tokens = Math.ceil(wanted / context.sequences) * context.sequences;
  }

  has(name: string): boolean {
    return this.#weights.has(name);
  }

  /** A weight of the model; -1: the file has none of this name. */
  weight(name: string): Tensor {
    const before = this.#leafs.get(name);
    if (before !== undefined) return before;
    const found = this.#weights.get(name);
    if (found === undefined) return -1;
    const onHost = isInputTable(found) || isReadByProcessor(found) || found.bytes > this.#maxTensorBytes;
    return this.#store(name, found, onHost);
  }

  #store(name: string, { type, dims }: ModelTensor, onHost: boolean): Tensor {
    const [ne0 = 1, ne1, ne2, ne3] = dims;
    const place = onHost ? PLACE.hostWeights : PLACE.deviceWeights;
    const tensor = this.graph.stored(place, typeId(type), ne0, ne1, ne2, ne3);
    this.#leafs.set(name, tensor);
    return tensor;
  }

  /** A weight of a layer by its name after `blk.N.`; -1: there is none. */
  of(layer: number, name: string): Tensor {
    return this.weight(`blk.${layer}.${name}`);
  }

  /** The head; where the file has none, a second copy of the embedding table. */
  head(): Tensor {
    const own = this.weight('output.weight');
    if (own >= 0) return own;
    const before = this.#leafs.get('tied head');
    const table = this.#weights.get('token_embd.weight');
    if (before !== undefined || table === undefined) return before ?? -1;
    return this.#store('tied head', table, table.bytes > this.#maxTensorBytes);
  }

  /** The KV cache of a layer. @param kind - of caches, where the layer has several. */
  cache(layer: number, kind?: KvCache['kind'], index = 0): LayerCache {
    const found = this.#caches
      .filter((each) => (kind === undefined ? each.kind !== 'indexer' : each.kind === kind))
      .filter(({ layers }) => layers.some((each) => each.layer === layer))[index];
    const cached = found?.layers.find((each) => each.layer === layer);
    if (found === undefined || cached === undefined) {
      throw new RangeError(`layer ${layer} of ${this.shape.id} has no KV cache`);
    }
    const { cells, streams } = found;
    const store = (name: string, type: number, length: number): Tensor => {
      const key = `cache ${found.kind} ${index} ${name} ${layer}`;
      const before = this.#leafs.get(key);
      if (before !== undefined) return before;
      const tensor = this.graph.stored(PLACE.deviceCache, type, length, cells, streams);
      this.#leafs.set(key, tensor);
      return tensor;
    };
    const { cacheTypeK, cacheTypeV } = this.context;
    return {
      key: store('k', typeId(cacheTypeK), cached.keyLength),
      value: cached.valueLength === 0 ? -1 : store('v', typeId(cacheTypeV), cached.valueLength),
      cells,
      streams,
    };
  }

  /** The states that a recurrent layer keeps, of all sequences: of its convolution, and its memory. */
  state(layer: number, part: 'convolution' | 'memory'): Tensor {
    const key = `state ${part} ${layer}`;
    const before = this.#leafs.get(key);
    if (before !== undefined) return before;
    const lengths = stateLengths(this.shape);
    const tensor = this.graph.stored(PLACE.deviceCache, TYPE.f32, lengths[part], this.context.sequences);
    this.#leafs.set(key, tensor);
    return tensor;
  }

  /** Whether the model has recurrent layers. */
  get isRecurrent(): boolean {
    return recurrentLayers(this.shape, this.context).length > 0;
  }

  heads(layer: number): number {
    return ofLayer(this.shape.heads, layer);
  }

  /** `build_norm` with a norm of the root of mean squares; without a weight of this name the norm alone. */
  rmsNorm(a: Tensor, weight: Tensor, bias = -1): Tensor {
    return this.#weighted(this.graph.rmsNorm(a), weight, bias);
  }

  /** `build_norm` with `LLM_NORM`. */
  layerNorm(a: Tensor, weight: Tensor, bias = -1): Tensor {
    return this.#weighted(this.graph.sameLengths(OP.norm, a), weight, bias);
  }

  #weighted(normed: Tensor, weight: Tensor, bias: Tensor): Tensor {
    const scaled = weight < 0 ? normed : this.graph.mul(normed, weight);
    return bias < 0 ? scaled : this.graph.add(scaled, bias);
  }

  /** A product with a weight, and its bias where the file has one. */
  project(layer: number, name: string, b: Tensor): Tensor {
    const result = this.graph.mulMat(this.of(layer, `${name}.weight`), b);
    return this.biased(layer, name, result);
  }

  biased(layer: number, name: string, a: Tensor): Tensor {
    const bias = this.of(layer, `${name}.bias`);
    return bias < 0 ? a : this.graph.add(a, bias);
  }

  /** `ggml_row_size` of F32. */
  row(length: number): number {
    return rowSize(TYPE.f32, length);
  }
}
