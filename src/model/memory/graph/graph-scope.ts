import { ofLayer, type ModelShape } from '../../shape.ts';
import type { GgmlTypeName } from '../../ggml-types.ts';
import { statesOfSequence } from '../drafting.ts';
import { kvCaches, type KvCache } from '../kv-state.ts';
import { stateLengths } from '../recurrent-state.ts';
import type { ResolvedContext } from '../settings.ts';
import { OF_FIRST_LAYER, type IndexedWeight, type WeightIndex } from './weight-index.ts';
import { OP, rowSize, TYPE, typeId, type TypeId } from './operations.ts';
import { TensorGraph } from './tensor-graph.ts';
import { PLACE, type Tensor } from './tensor-store.ts';

/** Where a layer's cache lies, as the engine makes it. */
export interface LayerCache {
  readonly key: Tensor;
  /** -1: the keys are the values. */
  readonly value: Tensor;
  /** Cells of a stream. */
  readonly cells: number;
  readonly streams: number;
}

/** Which GPU has what of a model, and what stays in the system's memory though there are GPUs. */
export interface GraphPlacement {
  /** Layers at the start, with their caches and states. */
  readonly layers: number;
  /** Layers at the start of which the experts are kept back. */
  readonly expertLayers: number;
  readonly head: boolean;
  readonly devices: Division;
}

/** How several GPUs divide a model. */
export interface Division {
  readonly count: number;
  /** The GPU of each layer of the file, and of the head as the one after the last. */
  readonly ofLayer: readonly number[];
  /** They work on several batches at once. */
  readonly pipelined: boolean;
}

const ONE_DEVICE: Division = { count: 1, ofLayer: [], pipelined: false };

export const ON_ONE_DEVICE: GraphPlacement = { layers: 0, expertLayers: 0, head: false, devices: ONE_DEVICE };

/** What the functions that build a graph share: `llm_graph_context`, src/llama-graph.h. */
export class GraphScope {
  readonly graph = new TensorGraph();
  readonly shape: ModelShape;
  readonly context: ResolvedContext;
  /** Tokens with logits: a full ubatch. */
  readonly outputs: number;
  /** Tokens of the graph: as many, rounded up to equal parts for all sequences. */
  readonly tokens: number;
  /** States that a recurrent layer keeps of each sequence: its own, and those before the tokens of a draft. */
  readonly keptStates: number;
  readonly #weights: WeightIndex;
  /** Weights that are larger stay with the processor. */
  readonly #maxTensorBytes: number;
  readonly #placement: GraphPlacement;
  /** Copies of tensors that every layer has, for the layers that are kept back. */
  readonly #repeated = new Map<string, Tensor>();
  /** The leafs of weights that were made, by their places in the file. */
  readonly #leafs: Int32Array;
  #tiedHead = -1;
  /** The layer whose weights were asked for last. */
  #layer = -1;
  #ofLayer: ReadonlyMap<string, IndexedWeight> = new Map();
  /** By layer: the first tensor that was made for it or behind it. */
  readonly layerStarts: Tensor[] = [];
  readonly #caches: readonly KvCache[];
  readonly #layerCaches = new Map<number, LayerCache>();
  readonly #states = new Map<number, Tensor>();

  constructor(
    shape: ModelShape,
    context: ResolvedContext,
    weights: WeightIndex,
    maxTensorBytes: number,
    placement = ON_ONE_DEVICE,
  ) {
    this.#placement = placement;
    this.shape = shape;
    this.context = context;
    this.#weights = weights;
    this.#maxTensorBytes = maxTensorBytes;
    this.#leafs = new Int32Array(weights.count).fill(-1);
    this.#caches = kvCaches(shape, context);
    this.keptStates = statesOfSequence(shape, context);
    // `graph_reserve`, src/llama-context.cpp.
    this.outputs = Math.min(context.contextTokens, context.ubatchTokens);
    this.tokens = Math.ceil(this.outputs / context.sequences) * context.sequences;
  }

  /** A weight of the model as a whole; -1: the file has none of this name. */
  weight(name: string): Tensor {
    const isFirst = OF_FIRST_LAYER[this.shape.architecture]?.test(name) === true;
    const { layers, head } = this.#placement;
    const weight = this.#weights.ofModel.get(name);
    return isFirst
      ? this.#leaf(weight, layers > 0, this.#deviceOf(0))
      : this.#leaf(weight, head, this.#headDevice());
  }

  /** A weight of the model that the engine loads for every layer, where that lies; -1: the file has none. */
  repeated(layer: number, name: string): Tensor {
    const found = this.#weights.ofModel.get(name);
    const isKept = layer < this.#placement.layers;
    const device = this.#deviceOf(layer);
    if (found === undefined || (!isKept && device === 0)) return this.#leaf(found, false, 0);
    const key = isKept ? name : `${name} ${device}`;
    const before = this.#repeated.get(key);
    if (before !== undefined) return before;
    const tensor = this.#store(found, isKept, device);
    this.#repeated.set(key, tensor);
    return tensor;
  }

  /** A weight of a layer by its name after `blk.N.`; -1: there is none. */
  of(layer: number, name: string): Tensor {
    if (layer !== this.#layer) {
      this.#layer = layer;
      this.#ofLayer = this.#weights.ofLayer(layer);
      while (this.layerStarts.length <= layer) this.layerStarts.push(this.graph.count);
    }
    const weight = this.#ofLayer.get(name);
    const { layers, expertLayers } = this.#placement;
    const isKept = layer < layers || (layer < expertLayers && weight?.isExpert === true);
    return this.#leaf(weight, isKept, this.#deviceOf(layer));
  }

  /** The weight of this name before `.weight`; -1: there is none. */
  weightOf(layer: number, name: string): Tensor {
    return this.of(layer, joined(WEIGHT_NAMES, name, '.weight'));
  }

  /** The bias of this name before `.bias`; -1: there is none. */
  biasOf(layer: number, name: string): Tensor {
    return this.of(layer, joined(BIAS_NAMES, name, '.bias'));
  }

  #deviceOf(layer: number): number {
    return this.#placement.devices.ofLayer[layer] ?? 0;
  }

  #headDevice(): number {
    return this.#placement.devices.ofLayer.at(-1) ?? 0;
  }

  #leaf(weight: IndexedWeight | undefined, keptBack: boolean, device: number): Tensor {
    if (weight === undefined) return -1;
    const before = this.#leafs[weight.index] ?? -1;
    if (before >= 0) return before;
    const tensor = this.#store(weight, weight.onHost || keptBack, device);
    this.#leafs[weight.index] = tensor;
    return tensor;
  }

  #store({ type, dims, bytes }: IndexedWeight, onHost: boolean, device: number): Tensor {
    const place = onHost || bytes > this.#maxTensorBytes ? PLACE.hostWeights : PLACE.deviceWeights;
    const tensor = this.graph.stored(place, type, dims[0] ?? 1, dims[1], dims[2], dims[3]);
    if (device > 0) this.graph.device[tensor] = device;
    return tensor;
  }

  /** A weight under other lengths, where it lies. */
  reshapedWeight(whole: Tensor, ne0: number, ne1: number, ne2: number): Tensor {
    const { graph } = this;
    const place = graph.place[whole] === PLACE.hostWeights ? PLACE.hostWeights : PLACE.deviceWeights;
    const tensor = graph.stored(place, graph.type[whole] ?? TYPE.f32, ne0, ne1, ne2);
    graph.device[tensor] = graph.device[whole] ?? 0;
    return tensor;
  }

  /** Part of a layer's cache, or a state of it. */
  layerMemory(layer: number, type: TypeId, ne0: number, ne1: number, ne2 = 1): Tensor {
    const place = layer < this.#placement.layers ? PLACE.hostCache : PLACE.deviceCache;
    const tensor = this.graph.stored(place, type, ne0, ne1, ne2);
    const device = this.#deviceOf(layer);
    if (device > 0) this.graph.device[tensor] = device;
    return tensor;
  }

  /** The head; where the file has none, a second copy of the embedding table. */
  head(): Tensor {
    const own = this.weight('output.weight');
    const table = this.#weights.ofModel.get('token_embd.weight');
    if (own >= 0 || table === undefined) return own;
    if (this.#tiedHead < 0) this.#tiedHead = this.#store(table, this.#placement.head, this.#headDevice());
    return this.#tiedHead;
  }

  /** The KV cache of a layer. @param kind - of caches, where the layer has several. */
  cache(layer: number, kind?: KvCache['kind']): LayerCache {
    const place = this.#caches.findIndex(
      (each) =>
        (kind === undefined ? each.kind !== 'indexer' : each.kind === kind) &&
        each.layers.some((cached) => cached.layer === layer),
    );
    const key = layer * this.#caches.length + place;
    const before = this.#layerCaches.get(key);
    if (before !== undefined) return before;
    const found = this.#caches[place];
    const cached = found?.layers.find((each) => each.layer === layer);
    if (found === undefined || cached === undefined) {
      throw new RangeError(`layer ${layer} of ${this.shape.id} has no KV cache`);
    }
    const { cells, streams } = found;
    const store = (type: GgmlTypeName, length: number): Tensor =>
      this.layerMemory(layer, typeId(type), length, cells, streams);
    const { cacheTypeK, cacheTypeV } = this.context;
    const made: LayerCache = {
      key: store(cacheTypeK, cached.keyLength),
      value: cached.valueLength === 0 ? -1 : store(cacheTypeV, cached.valueLength),
      cells,
      streams,
    };
    this.#layerCaches.set(key, made);
    return made;
  }

  /** The states that a recurrent layer keeps, of all sequences, first each one's own: of its convolution, and its memory. */
  state(layer: number, part: 'convolution' | 'memory'): Tensor {
    const key = 2 * layer + (part === 'memory' ? 1 : 0);
    const before = this.#states.get(key);
    if (before !== undefined) return before;
    const lengths = stateLengths(this.shape);
    const tensor = this.layerMemory(layer, TYPE.f32, lengths[part], this.context.sequences * this.keptStates);
    this.#states.set(key, tensor);
    return tensor;
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
    const result = this.graph.mulMat(this.weightOf(layer, name), b);
    return this.biased(layer, name, result);
  }

  biased(layer: number, name: string, a: Tensor): Tensor {
    const bias = this.biasOf(layer, name);
    return bias < 0 ? a : this.graph.add(a, bias);
  }

  /** `ggml_row_size` of F32. */
  row(length: number): number {
    return rowSize(TYPE.f32, length);
  }
}

/** Names with their endings: joined once, as the same ones are looked up for each layer of each graph. */
const WEIGHT_NAMES = new Map<string, string>();
const BIAS_NAMES = new Map<string, string>();

function joined(names: Map<string, string>, name: string, ending: string): string {
  const before = names.get(name);
  if (before !== undefined) return before;
  const whole = name + ending;
  names.set(name, whole);
  return whole;
}
