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

/** How the buffers of a backend are made. */
export interface ArenaLimits {
  readonly alignment: number;
  /** A buffer grows to this and then another is begun; a tensor may be larger (`get_max_size` of the buffer type). */
  readonly maxChunkBytes: number;
}

interface FreeBlock {
  offset: number;
  size: number;
}

interface Chunk {
  readonly free: FreeBlock[];
  /** The end of the highest tensor so far. */
  peak: number;
}

interface Address {
  readonly chunk: Chunk;
  readonly offset: number;
}

/** `GGML_VBUFFER_MAX_CHUNKS`: the last chunk has no limit. */
const MAX_CHUNKS = 16;

/** One growing buffer: best fit among the gaps, else the end. */
class Arena {
  readonly #limits: ArenaLimits;
  readonly #chunks: Chunk[] = [];

  constructor(limits: ArenaLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.peak, 0);
  }

  padded(size: number): number {
    const { alignment } = this.#limits;
    return Math.ceil(size / alignment) * alignment;
  }

  allocate(bytes: number): Address {
    const size = this.padded(bytes);
    const { chunk, index } = this.#bestGap(size) ?? this.#bestEnd(size) ?? this.#newChunk(size);
    const block = chunk.free[index];
    if (block === undefined) throw new RangeError('a chunk without its free block');
    const { offset } = block;
    block.offset += size;
    block.size -= size;
    if (block.size === 0) chunk.free.splice(index, 1);
    chunk.peak = Math.max(chunk.peak, offset + size);
    return { chunk, offset };
  }

  /**
   * `ggml_dyn_tallocr_free_bytes`, step by step: it joins with the first gap that it touches and looks at one neighbour
   * of that alone, so that gaps without bytes, which empty tensors leave, keep others apart.
   */
  release({ chunk, offset }: Address, bytes: number): void {
    const size = this.padded(bytes);
    const { free } = chunk;
    for (let index = 0; index < free.length; index += 1) {
      const block = free[index];
      if (block === undefined) break;
      if (block.offset + block.size === offset) {
        block.size += size;
        const next = free[index + 1];
        if (next !== undefined && block.offset + block.size === next.offset) {
          block.size += next.size;
          free.splice(index + 1, 1);
        }
        return;
      }
      if (offset + size === block.offset) {
        block.offset = offset;
        block.size += size;
        const before = free[index - 1];
        if (before !== undefined && before.offset + before.size === block.offset) {
          before.size += block.size;
          free.splice(index, 1);
        }
        return;
      }
    }
    const next = free.findIndex((block) => block.offset >= offset);
    free.splice(next === -1 ? free.length : next, 0, { offset, size });
  }

  /** The smallest gap that is large enough; of equal ones the last. The end of a chunk is no gap. */
  #bestGap(size: number): { chunk: Chunk; index: number } | null {
    let best: { chunk: Chunk; index: number } | null = null;
    for (const chunk of this.#chunks) {
      let bestSize = Number.POSITIVE_INFINITY;
      for (let index = 0; index < chunk.free.length - 1; index += 1) {
        const available = chunk.free[index]?.size ?? 0;
        if (available >= size && available <= bestSize) {
          best = { chunk, index };
          bestSize = available;
        }
      }
    }
    return best;
  }

  /** The end that needs the least growth, or wastes the least of what has been reached before. */
  #bestEnd(size: number): { chunk: Chunk; index: number } | null {
    let best: { chunk: Chunk; index: number } | null = null;
    let bestReuse = Number.NEGATIVE_INFINITY;
    for (const chunk of this.#chunks) {
      const index = chunk.free.length - 1;
      const block = chunk.free[index];
      if (block === undefined || block.size < size) continue;
      const reuse = chunk.peak - block.offset - size;
      if ((bestReuse < 0 && reuse > bestReuse) || (reuse >= 0 && reuse < bestReuse)) {
        best = { chunk, index };
        bestReuse = reuse;
      }
    }
    return best;
  }

  #newChunk(size: number): { chunk: Chunk; index: number } {
    const isLast = this.#chunks.length >= MAX_CHUNKS - 1;
    const available = isLast ? Number.MAX_SAFE_INTEGER : Math.max(size, this.#limits.maxChunkBytes);
    const chunk: Chunk = { free: [{ offset: 0, size: available }], peak: 0 };
    this.#chunks.push(chunk);
    return { chunk, index: 0 };
  }
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
