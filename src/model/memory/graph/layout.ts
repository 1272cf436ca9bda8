import { Arena, type ArenaLimits } from './arena.ts';
import { CAN_BE_IN_PLACE, OP } from './operations.ts';
import type { ScheduledGraph } from './splits.ts';
import type { TensorGraph } from './tensor-graph.ts';
import { FLAG, PLACE, SHAPE_STRIDE, type Tensor } from './tensor-store.ts';

/** Allocates the next block; any other event frees the block of that number. */
const ALLOCATE = -1;

/**
 * When the blocks of memory of a graph are taken and given back: it does not depend on how large they are, so that one
 * layout serves contexts of all lengths.
 */
export interface Layout {
  readonly events: Int32Array;
  /** By block: the tensor that it is made for, or that this is a copy of, and the buffer. */
  readonly tensors: Int32Array;
  readonly buffers: Uint8Array;
}

/** `ggml_gallocr_alloc_graph_impl` (ggml/src/ggml-alloc.c, release v0.5.0). */
export function layoutOf(scheduled: ScheduledGraph): Layout {
  return new LayoutBuilder(scheduled).build();
}

/** How large the blocks of a layout are and where they lie: the arrays serve one context after the other. */
export class PlacedBlocks {
  readonly sizes: Float64Array;
  readonly chunks: Int32Array;
  readonly offsets: Float64Array;

  constructor({ tensors }: Layout) {
    this.sizes = new Float64Array(tensors.length);
    this.chunks = new Int32Array(tensors.length);
    this.offsets = new Float64Array(tensors.length);
  }
}

/** Places the blocks, whose sizes are given, in buffers; returns the bytes of each, in the order of `limits`. */
export function placeBlocks(
  { events, buffers }: Layout,
  { sizes, chunks, offsets }: PlacedBlocks,
  limits: readonly ArenaLimits[],
): number[] {
  const arenas = limits.map((each) => new Arena(each));
  let next = 0;
  for (let index = 0; index < events.length; index += 1) {
    const event = events[index] ?? 0;
    const block = event === ALLOCATE ? next : event;
    const arena = arenas[buffers[block] ?? 0];
    if (arena === undefined) throw new RangeError(`no buffer ${buffers[block]}`);
    const size = arena.padded(sizes[block] ?? 0);
    if (event === ALLOCATE) {
      arena.allocate(size);
      chunks[block] = arena.chunk;
      offsets[block] = arena.offset;
      next += 1;
    } else {
      arena.release(chunks[block] ?? 0, offsets[block] ?? 0, size);
    }
  }
  return arenas.map((arena) => arena.bytes);
}

class LayoutBuilder {
  readonly #scheduled: ScheduledGraph;
  readonly #graph: TensorGraph;
  readonly #readers: Int32Array;
  readonly #views: Int32Array;
  /** 1 while a tensor has memory that this layout gave it. */
  readonly #owns: Uint8Array;
  readonly #blockOf: Int32Array;
  readonly #events: number[] = [];
  readonly #tensors: Tensor[] = [];
  readonly #buffers: number[] = [];

  constructor(scheduled: ScheduledGraph) {
    this.#scheduled = scheduled;
    this.#graph = scheduled.graph;
    const { count } = scheduled.graph;
    this.#readers = new Int32Array(count);
    this.#views = new Int32Array(count);
    this.#owns = new Uint8Array(count);
    this.#blockOf = new Int32Array(count);
  }

  build(): Layout {
    const { leafs, leafBuffers, nodes, nodeBuffers } = this.#scheduled;
    for (let index = 0; index < leafs.length; index += 1) {
      this.#allocate(leafs[index] ?? 0, leafBuffers[index] ?? 0);
    }
    this.#countReaders();
    const graph = this.#graph;
    for (let index = 0; index < nodes.length; index += 1) {
      const node = nodes[index] ?? 0;
      const buffer = nodeBuffers[index] ?? 0;
      const count = graph.sourceCount[node] ?? 0;
      for (let each = 0; each < count; each += 1) this.#allocate(graph.sourceOf(node, each), buffer);
      this.#allocate(node, buffer);
      for (let each = 0; each < count; each += 1) this.#leave(graph.sourceOf(node, each));
    }
    return {
      events: Int32Array.from(this.#events),
      tensors: Int32Array.from(this.#tensors),
      buffers: Uint8Array.from(this.#buffers),
    };
  }

  #countReaders(): void {
    const graph = this.#graph;
    for (const node of this.#scheduled.nodes) {
      const viewed = graph.viewed[node] ?? -1;
      // What the scheduler adds to hold tensors is a view without an operation, and does not count as one.
      if (viewed >= 0 && graph.op[node] !== OP.none) this.#views[viewed] = (this.#views[viewed] ?? 0) + 1;
      const count = graph.sourceCount[node] ?? 0;
      for (let index = 0; index < count; index += 1) {
        const source = graph.sourceOf(node, index);
        this.#readers[source] = (this.#readers[source] ?? 0) + 1;
      }
    }
  }

  /** `ggml_gallocr_allocate_node`. */
  #allocate(tensor: Tensor, buffer: number): void {
    const graph = this.#graph;
    if (
      this.#owns[tensor] === 1 ||
      graph.place[tensor] !== PLACE.graph ||
      (graph.viewed[tensor] ?? -1) >= 0
    ) {
      return;
    }
    this.#owns[tensor] = 1;
    if (CAN_BE_IN_PLACE[graph.op[tensor] ?? 0] === 1) {
      const count = graph.sourceCount[tensor] ?? 0;
      for (let index = 0; index < count; index += 1) {
        if (this.#takeOver(tensor, graph.sourceOf(tensor, index))) return;
      }
    }
    this.#events.push(ALLOCATE);
    this.#blockOf[tensor] = this.#tensors.push(this.#scheduled.copied.get(tensor) ?? tensor) - 1;
    this.#buffers.push(buffer);
  }

  /** Takes the memory of a source that nothing else reads. A view has none of its own to give. */
  #takeOver(tensor: Tensor, source: Tensor): boolean {
    const graph = this.#graph;
    if (this.#owns[source] !== 1 || ((graph.flags[source] ?? 0) & FLAG.output) !== 0) return false;
    if (this.#readers[source] !== 1 || this.#views[source] !== 0 || !this.#hasLayoutOf(tensor, source)) {
      return false;
    }
    this.#blockOf[tensor] = this.#blockOf[source] ?? 0;
    this.#owns[source] = 0;
    return true;
  }

  /** `ggml_are_same_layout`. */
  #hasLayoutOf(a: Tensor, b: Tensor): boolean {
    const { type, shape } = this.#graph;
    if (type[a] !== type[b]) return false;
    for (let index = 0; index < SHAPE_STRIDE; index += 1) {
      if (shape[a * SHAPE_STRIDE + index] !== shape[b * SHAPE_STRIDE + index]) return false;
    }
    return true;
  }

  /** One reader of a tensor is done: the last one frees it, or what it looks at. */
  #leave(tensor: Tensor): void {
    const readers = (this.#readers[tensor] ?? 0) - 1;
    this.#readers[tensor] = readers;
    if (readers !== 0 || this.#views[tensor] !== 0) return;
    const root = this.#graph.root(tensor);
    if (root !== tensor) {
      const views = (this.#views[root] ?? 0) - 1;
      this.#views[root] = views;
      if (views !== 0 || this.#readers[root] !== 0) return;
    }
    if (this.#owns[root] !== 1 || ((this.#graph.flags[root] ?? 0) & FLAG.output) !== 0) return;
    this.#events.push(this.#blockOf[root] ?? 0);
    this.#owns[root] = 0;
  }
}
