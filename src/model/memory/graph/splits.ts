import type { Division } from './graph-scope.ts';
import { isViewOperation, MAX_SOURCES, OP } from './operations.ts';
import type { TensorGraph } from './tensor-graph.ts';
import { FLAG, PLACE, type Tensor } from './tensor-store.ts';
import { vulkanOrder } from './vulkan-order.ts';
import { vulkanSupports } from './vulkan-support.ts';

/** The first of a graph's backends, the GPUs; behind them comes the processor. Buffers have the same numbers. */
export const DEVICE = 0;
const UNASSIGNED = -1;

/** `GGML_SCHED_MAX_COPIES`, ggml/src/ggml-backend.cpp: batches that several GPUs work on at once. */
export const PIPELINE_COPIES = 4;

/** `op_offload_min_batch_size` of ggml-vulkan.cpp: fewer rows are not worth sending a weight. */
const MIN_OFFLOADED_ROWS = 32;

/** A graph as ggml's allocator gets it. */
export interface ScheduledGraph {
  readonly graph: TensorGraph;
  readonly leafs: readonly Tensor[];
  readonly nodes: readonly Tensor[];
  /** The buffer of each node and of each leaf. */
  readonly nodeBuffers: readonly number[];
  readonly leafBuffers: readonly number[];
  /** What the scheduler's copies are copies of. */
  readonly copied: ReadonlyMap<Tensor, Tensor>;
}

/** The graph of a processor alone: nothing is divided or reordered. */
export function scheduleOnProcessor(graph: TensorGraph): ScheduledGraph {
  return {
    graph,
    leafs: graph.leafs,
    nodes: graph.nodes,
    nodeBuffers: graph.nodes.map(() => DEVICE),
    leafBuffers: graph.leafs.map(() => DEVICE),
    copied: new Map(),
  };
}

/**
 * Divides a graph between Vulkan devices and the processor: `ggml_backend_sched_split_graph`
 * (ggml/src/ggml-backend.cpp, release v0.5.0), pass by pass.
 */
export function scheduleOnVulkan(
  graph: TensorGraph,
  maxTensorBytes: number,
  devices: Pick<Division, 'count' | 'pipelined'> = { count: 1, pipelined: false },
): ScheduledGraph {
  return new VulkanSchedule(graph, maxTensorBytes, devices).schedule();
}

interface Split {
  readonly backend: number;
  readonly start: number;
  end: number;
  readonly inputs: Tensor[];
}

/** A tensor without sources, and the buffer that it lies in. */
interface PlacedLeaf {
  readonly leaf: Tensor;
  readonly buffer: number;
}

class VulkanSchedule {
  readonly #graph: TensorGraph;
  readonly #maxTensorBytes: number;
  readonly #processor: number;
  readonly #copyCount: number;
  readonly #backends: Int8Array;
  /** A tensor's copy on another backend, by backend. */
  readonly #copies: readonly Map<Tensor, Tensor>[];
  readonly #copied = new Map<Tensor, Tensor>();
  /** Inputs of the graph that have been given copies for the other batches. */
  readonly #repeatedInputs = new Set<Tensor>();
  /** Copies that are never freed: of the graph's inputs, and of what parts read. */
  readonly #inputLeafs: PlacedLeaf[] = [];
  readonly #copyLeafs: PlacedLeaf[] = [];

  constructor(
    graph: TensorGraph,
    maxTensorBytes: number,
    { count, pipelined }: Pick<Division, 'count' | 'pipelined'>,
  ) {
    this.#graph = graph;
    this.#processor = count;
    this.#copyCount = pipelined ? PIPELINE_COPIES : 1;
    this.#copies = Array.from({ length: count + 1 }, () => new Map<Tensor, Tensor>());
    this.#maxTensorBytes = maxTensorBytes;
    this.#backends = new Int8Array(graph.count).fill(UNASSIGNED);
  }

  schedule(): ScheduledGraph {
    const graph = this.#graph;
    for (const each of graph.leafs) this.#backends[each] = this.#fromPlace(each);
    for (const each of graph.nodes) this.#backends[each] = this.#fromPlace(each);
    this.#spread(graph.nodes, true);
    this.#spread(graph.nodes.toReversed(), true);
    this.#spread(graph.nodes, false);
    this.#spread(graph.nodes.toReversed(), false);
    for (const each of graph.nodes) this.#assignByInputs(each);
    for (const each of graph.nodes) this.#assignSources(each);
    return this.#assemble(this.#divide());
  }

  #supports(backend: number, tensor: Tensor): boolean {
    return backend === this.#processor || vulkanSupports(this.#graph, tensor, this.#maxTensorBytes);
  }

  /** Which backend's buffer a tensor lies in before the graph is laid out. */
  #bufferOf(tensor: Tensor): number {
    const root = this.#graph.root(tensor);
    const place = this.#graph.place[root];
    if (place === PLACE.graph) return UNASSIGNED;
    if (place === PLACE.hostWeights || place === PLACE.hostCache) return this.#processor;
    return this.#graph.device[root] ?? DEVICE;
  }

  /** `ggml_backend_sched_backend_from_buffer`. */
  #fromBuffer(tensor: Tensor, operation: Tensor): number {
    const buffer = this.#bufferOf(tensor);
    return buffer === UNASSIGNED || this.#supports(buffer, operation) ? buffer : UNASSIGNED;
  }

  /** `ggml_backend_sched_backend_id_from_cur`: by where a tensor lies, and operations by their weights. */
  #fromPlace(tensor: Tensor): number {
    const graph = this.#graph;
    const own = this.#fromBuffer(tensor, tensor);
    if (own !== UNASSIGNED) return own;
    if (((graph.flags[tensor] ?? 0) & FLAG.input) !== 0) return this.#processor;
    const op = graph.op[tensor];
    if (op === OP.rope || op === OP.flashAttention) return UNASSIGNED;
    const count = graph.sourceCount[tensor] ?? 0;
    for (let index = 0; index < count; index += 1) {
      const source = graph.sourceOf(tensor, index);
      const place = graph.place[source];
      if (place !== PLACE.deviceWeights && place !== PLACE.hostWeights) continue;
      const backend = this.#fromBuffer(source, tensor);
      return backend === this.#processor && this.#isOffloaded(tensor) ? DEVICE : backend;
    }
    return UNASSIGNED;
  }

  /** `ggml_backend_vk_device_offload_op`: the first device is lent the weight. */
  #isOffloaded(tensor: Tensor): boolean {
    const graph = this.#graph;
    const op = graph.op[tensor];
    if (op === OP.getRows || !this.#supports(DEVICE, tensor)) return false;
    const rows =
      op === OP.mulMat
        ? graph.ne(tensor, 1)
        : op === OP.mulMatId || op === OP.rope
          ? graph.ne(tensor, 2)
          : graph.ne(tensor, 1) * graph.ne(tensor, 2) * graph.ne(tensor, 3);
    return rows >= MIN_OFFLOADED_ROWS;
  }

  /** Pass 2: neighbours take the backend of what is assigned; the devices' first. */
  #spread(nodes: readonly Tensor[], deviceOnly: boolean): void {
    let current = UNASSIGNED;
    for (const node of nodes) {
      if (isViewOperation(this.#graph.op[node] ?? 0)) continue;
      const backend = this.#backends[node] ?? UNASSIGNED;
      if (backend !== UNASSIGNED) current = deviceOnly && backend === this.#processor ? UNASSIGNED : backend;
      else if (current !== UNASSIGNED && this.#supports(current, node)) this.#backends[node] = current;
    }
  }

  /** Pass 3: what no neighbour's backend could compute goes to the one that has most of its sources. */
  #assignByInputs(node: Tensor): void {
    const graph = this.#graph;
    if (isViewOperation(graph.op[node] ?? 0) || this.#backends[node] !== UNASSIGNED) return;
    let most = -1;
    for (let backend = DEVICE; backend <= this.#processor; backend += 1) {
      if (!this.#supports(backend, node)) continue;
      let supported = 0;
      const count = graph.sourceCount[node] ?? 0;
      for (let index = 0; index < count; index += 1) {
        if (this.#isReadBy(backend, graph.sourceOf(node, index))) supported += 1;
      }
      if (supported > most) {
        most = supported;
        this.#backends[node] = backend;
      }
    }
  }

  /** `ggml_backend_sched_buffer_supported`. */
  #isReadBy(backend: number, tensor: Tensor): boolean {
    const buffer = this.#bufferOf(tensor);
    if (buffer !== UNASSIGNED) return buffer === backend;
    const own = this.#backends[tensor] ?? UNASSIGNED;
    const assigned = own === UNASSIGNED ? (this.#backends[this.#graph.root(tensor)] ?? UNASSIGNED) : own;
    return assigned === backend;
  }

  /** Pass 4: views lie where they look, and sources without a place where they are read. */
  #assignSources(node: Tensor): void {
    const graph = this.#graph;
    const backends = this.#backends;
    if (backends[node] === UNASSIGNED) backends[node] = backends[graph.root(node)] ?? UNASSIGNED;
    const count = graph.sourceCount[node] ?? 0;
    for (let index = 0; index < count; index += 1) {
      const source = graph.sourceOf(node, index);
      if (backends[source] !== UNASSIGNED) continue;
      const root = graph.root(source);
      backends[source] = (root === source ? backends[node] : backends[root]) ?? UNASSIGNED;
    }
    if (backends[node] === UNASSIGNED) {
      backends[node] = this.#supports(DEVICE, node) ? DEVICE : this.#processor;
    }
  }

  /** Pass 5: a new part begins where the backend changes, and reads copies of what lies elsewhere. */
  #divide(): Split[] {
    const graph = this.#graph;
    const { nodes } = graph;
    const splits: Split[] = [];
    let split: Split | null = null;
    for (let place = 0; place < nodes.length; place += 1) {
      const node = nodes[place] ?? 0;
      if (isViewOperation(graph.op[node] ?? 0)) continue;
      const backend = this.#backends[node] ?? DEVICE;
      if (split === null || split.backend !== backend || this.#needsOwnSplit(node, split)) {
        if (split !== null) split.end = place;
        split = { backend, start: split === null ? 0 : place, end: nodes.length, inputs: [] };
        splits.push(split);
      }
      const count = graph.sourceCount[node] ?? 0;
      for (let index = 0; index < count; index += 1) {
        const source = graph.sourceOf(node, index);
        if (this.#copyCount > 1) this.#repeatInput(source);
        if (this.#backends[source] === backend || this.#isReadBy(backend, source)) continue;
        graph.replaceSource(node, index, this.#copyFor(split, source));
      }
    }
    return splits;
  }

  /** Weights that are lent begin a part of their own, so that the memory of the last ones is free again. */
  #needsOwnSplit(node: Tensor, split: Split): boolean {
    if (split.inputs.length === 0) return false;
    const graph = this.#graph;
    const count = graph.sourceCount[node] ?? 0;
    for (let index = 0; index < count; index += 1) {
      const source = graph.sourceOf(node, index);
      const place = graph.place[source];
      if (place !== PLACE.deviceWeights && place !== PLACE.hostWeights) continue;
      if (this.#backends[source] !== split.backend && !this.#isReadBy(split.backend, source)) return true;
    }
    return false;
  }

  #copyFor(split: Split, source: Tensor): Tensor {
    const { backend } = split;
    const before = this.#copies[backend]?.get(source);
    if (before !== undefined) return before;
    const copy = this.#copy(source);
    this.#copies[backend]?.set(source, copy);
    split.inputs.push(source);
    if (this.#copyCount > 1) this.#keep(this.#copyLeafs, source, copy, backend);
    return copy;
  }

  #copy(source: Tensor): Tensor {
    const copy = this.#graph.copyOfLayout(source);
    this.#copied.set(copy, source);
    return copy;
  }

  /** An input of the graph has a copy for each batch that is worked on, of which it is the first. */
  #repeatInput(source: Tensor): void {
    const graph = this.#graph;
    if (((graph.flags[source] ?? 0) & FLAG.input) === 0 || this.#repeatedInputs.has(source)) return;
    this.#repeatedInputs.add(source);
    this.#keep(this.#inputLeafs, source, source, this.#backends[source] ?? this.#processor);
  }

  /** Copies for all batches, whose memory nothing else may take. */
  #keep(leafs: PlacedLeaf[], source: Tensor, first: Tensor, buffer: number): void {
    for (let index = 0; index < this.#copyCount; index += 1) {
      const leaf = index === 0 ? first : this.#copy(source);
      this.#graph.setOutput(leaf);
      leafs.push({ leaf, buffer });
    }
  }

  /** The copies that a part reads come before it; what a fused operation reads is held until it is done. */
  #assemble(splits: readonly Split[]): ScheduledGraph {
    const graph = this.#graph;
    const nodes: Tensor[] = [];
    const nodeBuffers: number[] = [];
    const push = (node: Tensor, buffer: number): void => {
      nodes.push(node);
      nodeBuffers.push(buffer);
    };
    for (const split of splits) {
      const copies = this.#copies[split.backend];
      for (const input of split.inputs) {
        const held = graph.dependency(input);
        graph.addSource(held, input);
        push(held, this.#backends[input] ?? this.#processor);
        push(copies?.get(input) ?? input, split.backend);
      }
      const own = graph.nodes.slice(split.start, split.end);
      const held = new Map<Tensor, Tensor[]>();
      const ordered = split.backend === this.#processor ? own : vulkanOrder(graph, own, held);
      for (const node of ordered) {
        push(node, this.#backends[node] ?? split.backend);
        const kept = held.get(node) ?? [];
        for (let from = 0; from < kept.length; from += MAX_SOURCES) {
          const dependency = graph.dependency(kept[from] ?? 0);
          for (const each of kept.slice(from, from + MAX_SOURCES)) graph.addSource(dependency, each);
          push(dependency, split.backend);
        }
      }
    }
    const kept = [...this.#inputLeafs, ...this.#copyLeafs];
    const own = graph.leafs.map((leaf) => this.#backends[leaf] ?? this.#processor);
    return {
      graph,
      leafs: [...kept.map(({ leaf }) => leaf), ...graph.leafs],
      nodes,
      nodeBuffers,
      leafBuffers: [...kept.map(({ buffer }) => buffer), ...own],
      copied: this.#copied,
    };
  }
}
