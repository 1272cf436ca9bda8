import type { GraphNode, NodeId } from './graph-allocator.ts';

/** Bytes of a value that the engine computes with: F32, also where weights are quantised. */
export const FLOAT = 4;
const HALF = 2;
/** Row numbers of the KV cache are I64 (`build_input_k_idxs`, src/llama-kv-cache.cpp). */
const INDEX = 8;
export const VALUE_BYTES = { float: FLOAT, half: HALF, index: INDEX, integer: 4 } as const;

/** The arenas of a graph: what the device computes in, and what the processor prepares for it. */
export const DEVICE_ARENA = 0;
export const HOST_ARENA = 1;

/**
 * Lists the tensors of a graph in the order in which llama.cpp computes them. Only tensors that take memory are
 * listed: views, and what is computed in place, take that of another.
 */
export class ComputeGraph {
  readonly #nodes: GraphNode[] = [];
  /** The order in which they are computed. */
  readonly #order: NodeId[] = [];
  /** How much of the order was fixed when the engine last expanded its graph (`ggml_build_forward_expand`). */
  #expanded = 0;
  #isAhead = false;
  /** Some tensor is computed before one that was made earlier. */
  #isReordered = false;
  /** Tokens of a ubatch. */
  readonly tokens: number;
  readonly #split: boolean;
  readonly #largest: number;
  /** Where a tensor of one part has been copied to for the other. */
  readonly #copies = new Map<string, NodeId>();

  /**
   * @param split - the device is not the processor: what one of them makes is copied for the other
   *   (`ggml_backend_sched_split_graph`, ggml/src/ggml-backend.cpp).
   * @param largest - bytes of the largest tensor that the device takes; what is larger, the processor computes.
   */
  constructor(tokens: number, split: boolean, largest: number) {
    this.tokens = tokens;
    this.#split = split;
    this.#largest = largest;
  }

  /** An input, filled by the processor before the graph runs. */
  input(bytes: number): NodeId {
    const arena = this.#split ? HOST_ARENA : DEVICE_ARENA;
    return this.#add({ arena, bytes, sources: [], reuses: [], kind: 'input' });
  }

  /** Room that the device keeps from the start, though nothing fills it before the graph runs. */
  kept(bytes: number): NodeId {
    return this.#add({ arena: DEVICE_ARENA, bytes, sources: [], reuses: [], kind: 'input' });
  }

  /** What the processor computes ahead of the device: the embedding of the tokens. */
  onProcessor(bytes: number, sources: readonly NodeId[]): NodeId {
    const arena = this.#split ? HOST_ARENA : DEVICE_ARENA;
    return this.#add({ arena, bytes, sources, reuses: [], kind: 'node' });
  }

  /** Copies what the processor made to the device, at the start of the device's part of the graph. */
  handOver(ids: readonly NodeId[]): void {
    for (const id of ids) if (this.#isSmall(id)) this.#copyTo(DEVICE_ARENA, id);
  }

  /**
   * A tensor with memory of its own.
   * @param cacheBytes - of the caches that it reads, which lie on the device: the processor needs copies of them.
   */
  tensor(bytes: number, sources: readonly NodeId[], cacheBytes: readonly number[] = []): NodeId {
    return this.#make(bytes, sources, [], cacheBytes, 'node');
  }

  /** `width` floats for each token. */
  row(width: number, sources: readonly NodeId[], cacheBytes: readonly number[] = []): NodeId {
    return this.tensor(width * this.tokens * FLOAT, sources, cacheBytes);
  }

  /** A tensor that takes over the memory of one of `over` where nothing else reads it. */
  inPlace(over: readonly NodeId[], others: readonly NodeId[] = []): NodeId {
    const bytes = Math.max(...over.map((id) => this.#nodes[id]?.bytes ?? 0));
    return this.#make(bytes, [...over, ...others], over, [], 'node');
  }

  /** Reads without making anything: a write to the KV cache. */
  use(sources: readonly NodeId[]): void {
    this.#make(0, sources, [], [], 'use');
  }

  /** A tensor without bytes, freed at once: it moves nothing, but what is freed beside its place stays apart. */
  empty(): void {
    this.use([this.tensor(0, [])]);
  }

  /** Makes a tensor one that is read after the graph has run, and so is never freed. */
  keep(id: NodeId): void {
    const node = this.#nodes[id];
    if (node !== undefined) this.#nodes[id] = { ...node, kind: 'output' };
  }

  output(bytes: number, sources: readonly NodeId[]): NodeId {
    return this.#make(bytes, sources, [], [], 'output');
  }

  #make(
    bytes: number,
    sources: readonly NodeId[],
    over: readonly NodeId[],
    cacheBytes: readonly number[],
    kind: GraphNode['kind'],
  ): NodeId {
    const fits =
      bytes <= this.#largest &&
      cacheBytes.every((each) => each <= this.#largest) &&
      sources.every((id) => this.#isSmall(id));
    const arena = !this.#split || fits ? DEVICE_ARENA : HOST_ARENA;
    const there = (id: NodeId): NodeId => this.#copyTo(arena, id);
    const caches =
      arena === HOST_ARENA
        ? cacheBytes.map((size) => this.#add({ arena, bytes: size, sources: [], reuses: [], kind: 'node' }))
        : [];
    return this.#add({
      arena,
      bytes,
      sources: [...sources.map(there), ...caches],
      reuses: over.map(there),
      kind,
    });
  }

  #isSmall(id: NodeId): boolean {
    return (this.#nodes[id]?.bytes ?? 0) <= this.#largest;
  }

  /** The tensor itself where it lies in the arena, else its copy there. */
  #copyTo(arena: number, id: NodeId): NodeId {
    const node = this.#nodes[id];
    if (node === undefined || node.arena === arena) return id;
    const key = `${arena} ${id}`;
    const before = this.#copies.get(key);
    if (before !== undefined) return before;
    const copy = this.#add({ arena, bytes: node.bytes, sources: [id], reuses: [], kind: 'copy' });
    this.#copies.set(key, copy);
    return copy;
  }

  /** The engine expands its graph here: what is made so far is computed before what it expands next. */
  expand(): void {
    this.#expanded = this.#order.length;
  }

  /** Tensors that the engine expands when it makes them, and so ahead of all that it has made but not yet expanded. */
  ahead<T>(make: () => T): T {
    this.#isAhead = true;
    try {
      return make();
    } finally {
      this.#isAhead = false;
    }
  }

  /** The tensors in the order in which they are computed. */
  computed(): readonly GraphNode[] {
    if (!this.#isReordered) return this.#nodes;
    const places = new Int32Array(this.#nodes.length);
    for (const [place, id] of this.#order.entries()) places[id] = place;
    const placed = (ids: readonly NodeId[]): NodeId[] => ids.map((id) => places[id] ?? 0);
    return this.#order.flatMap((id) => {
      const node = this.#nodes[id];
      return node === undefined
        ? []
        : [{ ...node, sources: placed(node.sources), reuses: placed(node.reuses) }];
    });
  }

  #add(node: GraphNode): NodeId {
    const id = this.#nodes.push(node) - 1;
    if (this.#isAhead) {
      this.#isReordered ||= this.#expanded < this.#order.length;
      this.#order.splice(this.#expanded, 0, id);
      this.#expanded += 1;
    } else {
      this.#order.push(id);
    }
    return id;
  }
}
