import { Arena, type Address, type ArenaLimits } from './arena.ts';
import { CAN_BE_IN_PLACE, OP } from './operations.ts';
import type { ScheduledGraph } from './splits.ts';
import type { TensorGraph } from './tensor-graph.ts';
import { FLAG, PLACE, SHAPE_STRIDE, type Tensor } from './tensor-store.ts';

/**
 * The bytes of each buffer of a graph, in the order of `limits`: `ggml_gallocr_alloc_graph_impl`
 * (ggml/src/ggml-alloc.c, release v0.5.0), on sizes alone.
 */
export function layOut(scheduled: ScheduledGraph, limits: readonly ArenaLimits[]): number[] {
  const arenas = limits.map((each) => new Arena(each));
  new Layout(scheduled, arenas).run();
  return arenas.map((arena) => arena.bytes);
}

class Layout {
  readonly #scheduled: ScheduledGraph;
  readonly #graph: TensorGraph;
  readonly #arenas: readonly Arena[];
  readonly #readers: Int32Array;
  readonly #views: Int32Array;
  /** 1 while a tensor has memory that this layout gave it. */
  readonly #owns: Uint8Array;
  readonly #addresses: (Address | undefined)[] = [];

  constructor(scheduled: ScheduledGraph, arenas: readonly Arena[]) {
    this.#scheduled = scheduled;
    this.#graph = scheduled.graph;
    this.#arenas = arenas;
    const { count } = scheduled.graph;
    this.#readers = new Int32Array(count);
    this.#views = new Int32Array(count);
    this.#owns = new Uint8Array(count);
  }

  run(): void {
    const { leafs, leafBuffers, nodes, nodeBuffers } = this.#scheduled;
    leafs.forEach((leaf, index) => {
      this.#allocate(leaf, leafBuffers[index] ?? 0);
    });
    this.#countReaders();
    const graph = this.#graph;
    nodes.forEach((node, index) => {
      const buffer = nodeBuffers[index] ?? 0;
      const count = graph.sourceCount[node] ?? 0;
      for (let each = 0; each < count; each += 1) this.#allocate(graph.sourceOf(node, each), buffer);
      this.#allocate(node, buffer);
      for (let each = 0; each < count; each += 1) this.#leave(graph.sourceOf(node, each));
    });
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
    if (this.#owns[tensor] === 1 || graph.place[tensor] !== PLACE.graph || (graph.viewed[tensor] ?? -1) >= 0)
      return;
    this.#owns[tensor] = 1;
    if (CAN_BE_IN_PLACE[graph.op[tensor] ?? 0] === 1) {
      const count = graph.sourceCount[tensor] ?? 0;
      for (let index = 0; index < count; index += 1) {
        if (this.#takeOver(tensor, graph.sourceOf(tensor, index))) return;
      }
    }
    const arena = this.#arenas[buffer];
    if (arena === undefined) throw new RangeError(`no buffer ${buffer}`);
    this.#addresses[tensor] = arena.allocate(graph.bytes(tensor));
  }

  /** Takes the memory of a source that nothing else reads. A view has none of its own to give. */
  #takeOver(tensor: Tensor, source: Tensor): boolean {
    const graph = this.#graph;
    if (this.#owns[source] !== 1 || ((graph.flags[source] ?? 0) & FLAG.output) !== 0) return false;
    if (this.#readers[source] !== 1 || this.#views[source] !== 0 || !this.#hasLayoutOf(tensor, source))
      return false;
    const address = this.#addresses[source];
    if (address === undefined) return false;
    this.#addresses[tensor] = address;
    this.#owns[source] = 0;
    return true;
  }

  /** `ggml_are_same_layout`. */
  #hasLayoutOf(a: Tensor, b: Tensor): boolean {
    const graph = this.#graph;
    if (graph.type[a] !== graph.type[b]) return false;
    for (let index = 0; index < SHAPE_STRIDE; index += 1) {
      if (graph.shape[a * SHAPE_STRIDE + index] !== graph.shape[b * SHAPE_STRIDE + index]) return false;
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
    if (this.#owns[root] === 1) this.#free(root);
  }

  #free(tensor: Tensor): void {
    if (((this.#graph.flags[tensor] ?? 0) & FLAG.output) !== 0) return;
    const address = this.#addresses[tensor];
    if (address !== undefined) address.arena.release(address, this.#graph.bytes(tensor));
    this.#owns[tensor] = 0;
  }
}
