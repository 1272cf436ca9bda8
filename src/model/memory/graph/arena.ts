/**
 * A buffer as ggml fills it: `ggml_dyn_tallocr_*` of ggml/src/ggml-alloc.c, release v0.5.0, on sizes alone.
 */

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

export interface Address {
  readonly arena: Arena;
  readonly chunk: Chunk;
  readonly offset: number;
}

/** `GGML_VBUFFER_MAX_CHUNKS`: the last chunk has no limit. */
const MAX_CHUNKS = 16;

/** One growing buffer: best fit among the gaps, else the end. */
export class Arena {
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
    return { arena: this, chunk, offset };
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
