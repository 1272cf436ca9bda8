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
  readonly nodes: GraphNode[] = [];
  /** Tokens of a ubatch. */
  readonly tokens: number;
  readonly #split: boolean;
  /** Where the device has what the processor made. */
  readonly #copies = new Map<NodeId, NodeId>();

  /** @param split - the device is not the processor: what it reads is copied to it (ggml_backend_sched). */
  constructor(tokens: number, split: boolean) {
    this.tokens = tokens;
    this.#split = split;
  }

  /** An input, filled by the processor before the graph runs. */
  input(bytes: number): NodeId {
    return this.#add({
      arena: this.#split ? HOST_ARENA : DEVICE_ARENA,
      bytes,
      sources: [],
      reuses: [],
      kind: 'input',
    });
  }

  /** What the processor computes ahead of the device: the embedding of the tokens. */
  onProcessor(bytes: number, sources: readonly NodeId[]): NodeId {
    const arena = this.#split ? HOST_ARENA : DEVICE_ARENA;
    return this.#add({ arena, bytes, sources, reuses: [], kind: 'node' });
  }

  /** Copies tensors of the processor to the device, at the start of the device's part of the graph. */
  handOver(ids: readonly NodeId[]): void {
    if (!this.#split) return;
    for (const id of ids) {
      const bytes = this.nodes[id]?.bytes ?? 0;
      this.#copies.set(
        id,
        this.#add({ arena: DEVICE_ARENA, bytes, sources: [id], reuses: [], kind: 'node' }),
      );
    }
  }

  /** A tensor with memory of its own. */
  tensor(bytes: number, sources: readonly NodeId[]): NodeId {
    return this.#add({
      arena: DEVICE_ARENA,
      bytes,
      sources: this.#onDevice(sources),
      reuses: [],
      kind: 'node',
    });
  }

  /** `width` floats for each token. */
  row(width: number, sources: readonly NodeId[]): NodeId {
    return this.tensor(width * this.tokens * FLOAT, sources);
  }

  /** A tensor that takes over the memory of one of `over` where nothing else reads it. */
  inPlace(over: readonly NodeId[], others: readonly NodeId[] = []): NodeId {
    const reuses = this.#onDevice(over);
    const bytes = Math.max(...reuses.map((id) => this.nodes[id]?.bytes ?? 0));
    const sources = [...reuses, ...this.#onDevice(others)];
    return this.#add({ arena: DEVICE_ARENA, bytes, sources, reuses, kind: 'node' });
  }

  /** Reads without making anything: a write to the KV cache. */
  use(sources: readonly NodeId[]): void {
    this.tensor(0, sources);
  }

  /** Makes a tensor one that is read after the graph has run, and so is never freed. */
  keep(id: NodeId): void {
    const node = this.nodes[id];
    if (node !== undefined) this.nodes[id] = { ...node, kind: 'output' };
  }

  output(bytes: number, sources: readonly NodeId[]): NodeId {
    return this.#add({
      arena: DEVICE_ARENA,
      bytes,
      sources: this.#onDevice(sources),
      reuses: [],
      kind: 'output',
    });
  }

  #onDevice(ids: readonly NodeId[]): NodeId[] {
    return ids.map((id) => this.#copies.get(id) ?? id);
  }

  #add(node: GraphNode): NodeId {
    this.nodes.push(node);
    return this.nodes.length - 1;
  }
}
