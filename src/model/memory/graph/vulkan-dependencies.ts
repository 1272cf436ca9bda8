import type { TensorGraph } from './tensor-graph.ts';
import type { Tensor } from './tensor-store.ts';

/** How far ahead independent nodes are looked for (`NUM_TO_CHECK` of `ggml_vk_graph_optimize`). */
export const LOOK_AHEAD = 20;

/** The bit by which a node's dependency on an earlier one is kept: d - 1 for d places before; none where that is too far. */
export function bitOf(place: number, earlier: number): number {
  const distance = place - earlier;
  return earlier >= 0 && distance > 0 && distance < LOOK_AHEAD ? 1 << (distance - 1) : 0;
}

/** Nodes in their order, the place of each tensor of the graph among them or -1, and 1 where a node computes nothing. */
export interface PlacedNodes {
  readonly graph: TensorGraph;
  readonly nodes: readonly Tensor[];
  readonly places: Int32Array;
  readonly empty: Uint8Array;
}

/**
 * Which of the nodes shortly before it each one depends on, as {@link bitOf} says it: `is_src_of` in
 * `ggml_vk_graph_optimize`. A node depends on what it reads, on what lies in the same memory as that, and on what lies in or
 * reads the memory that it writes to; nodes that compute nothing only on what they look at.
 */
export function dependencies(placed: PlacedNodes): Int32Array {
  const { graph, nodes, places, empty } = placed;
  const depends = new Int32Array(nodes.length);
  /** The last node so far that lies in the memory of a tensor, and the one before each node. */
  const last = new Int32Array(graph.count).fill(-1);
  const before = new Int32Array(nodes.length).fill(-1);
  const inMemory = (place: number, root: Tensor, computed: boolean): number => {
    let bits = 0;
    for (let each = last[root] ?? -1; each >= 0 && place - each < LOOK_AHEAD; each = before[each] ?? -1) {
      if (!computed || empty[each] === 0) bits |= bitOf(place, each);
    }
    return bits;
  };
  for (let place = 0; place < nodes.length; place += 1) {
    const node = nodes[place] ?? 0;
    const root = graph.root(node);
    const isEmpty = empty[place] === 1;
    let bits = 0;
    if (root !== node) {
      bits |= inMemory(place, root, false);
      if (!isEmpty) bits |= readersBefore(placed, place, root);
    }
    const sources = graph.sourceCount[node] ?? 0;
    for (let index = 0; index < sources; index += 1) {
      const source = graph.sourceOf(node, index);
      bits |= bitOf(place, places[source] ?? -1);
      if (!isEmpty) bits |= inMemory(place, graph.root(source), true);
    }
    depends[place] = bits;
    before[place] = last[root] ?? -1;
    last[root] = place;
  }
  return depends;
}

/** Nodes that read the memory which one writes to. */
function readersBefore({ graph, nodes, empty }: PlacedNodes, place: number, root: Tensor): number {
  let bits = 0;
  for (let distance = 1; distance < LOOK_AHEAD && distance <= place; distance += 1) {
    if (empty[place - distance] === 1) continue;
    const earlier = nodes[place - distance] ?? 0;
    const count = graph.sourceCount[earlier] ?? 0;
    for (let index = 0; index < count; index += 1) {
      if (graph.root(graph.sourceOf(earlier, index)) === root) bits |= 1 << (distance - 1);
    }
  }
  return bits;
}
