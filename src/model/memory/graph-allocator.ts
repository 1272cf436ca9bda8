import { Arena, type Address, type ArenaLimits } from './graph/arena.ts';

/**
 * Where ggml places the tensors of a graph, and so how large its buffer becomes: the allocator of
 * ggml/src/ggml-alloc.c (`ggml_dyn_tallocr_*`, `ggml_gallocr_alloc_graph_impl`), release v0.5.0, on sizes alone.
 */

/** A tensor of a graph: its place in the order of {@link GraphPlan.nodes}. */
export type NodeId = number;

export interface GraphNode {
  /** Which buffer it lies in: an index of the caller's. */
  readonly arena: number;
  readonly bytes: number;
  /** The tensors that it reads, views already followed to what they look at; weights and caches are left out. */
  readonly sources: readonly NodeId[];
  /** Sources whose memory it may take over when nothing else reads them (`ggml_op_can_inplace`, same layout). */
  readonly reuses: readonly NodeId[];
  /**
   * Inputs are placed before anything else; outputs are never freed; copies that nothing reads are not made; a use
   * reads and takes no memory, while a node without bytes takes a place and leaves a gap without bytes.
   */
  readonly kind: 'input' | 'node' | 'output' | 'copy' | 'use';
}

/** The bytes of each arena after a graph, in the order of `limits`. */
export function allocateGraph(nodes: readonly GraphNode[], limits: readonly ArenaLimits[]): number[] {
  const arenas = limits.map((each) => new Arena(each));
  const arenaOf = (node: GraphNode): Arena => {
    const arena = arenas[node.arena];
    if (arena === undefined) throw new RangeError(`no arena ${node.arena}`);
    return arena;
  };
  const readers = new Int32Array(nodes.length);
  // A copy comes before what reads it, so that from the back its readers are known when it is reached.
  for (let id = nodes.length - 1; id >= 0; id -= 1) {
    const node = nodes[id];
    if (node === undefined || (node.kind === 'copy' && readers[id] === 0)) continue;
    for (const source of node.sources) readers[source] = (readers[source] ?? 0) + 1;
  }
  const places: (Address | null)[] = nodes.map((node) =>
    node.kind === 'input' ? arenaOf(node).allocate(node.bytes) : null,
  );
  nodes.forEach((node, id) => {
    if (node.kind === 'copy' && readers[id] === 0) return;
    if (node.kind !== 'input') {
      const taken = node.reuses.find(
        (source) => readers[source] === 1 && places[source] !== null && nodes[source]?.kind !== 'output',
      );
      if (taken === undefined) {
        if (node.kind !== 'use') places[id] = arenaOf(node).allocate(node.bytes);
      } else {
        places[id] = places[taken] ?? null;
        places[taken] = null;
      }
    }
    for (const source of node.sources) {
      readers[source] = (readers[source] ?? 0) - 1;
      const place = places[source];
      const parent = nodes[source];
      if (readers[source] !== 0 || place === null || place === undefined || parent === undefined) continue;
      if (parent.kind === 'output') continue;
      arenaOf(parent).release(place, parent.bytes);
      places[source] = null;
    }
  });
  return arenas.map((arena) => arena.bytes);
}
