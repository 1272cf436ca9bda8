/**
 * A buffer as ggml fills it: `ggml_dyn_tallocr_*` of ggml/src/ggml-alloc.c, release v0.5.0, on sizes alone.
 */

/** How the buffers of a backend are made. */
export interface ArenaLimits {
  readonly alignment: number;
  /** A buffer grows to this and then another is begun; a tensor may be larger (`get_max_size` of the buffer type). */
  readonly maxChunkBytes: number;
}

/** A part of a buffer: its gaps in the order of their offsets, the last of which is its end. */
interface Chunk {
  readonly offsets: number[];
  readonly sizes: number[];
  /** The end of the highest tensor so far. */
  peak: number;
}

/** `GGML_VBUFFER_MAX_CHUNKS`: the last chunk has no limit. */
const MAX_CHUNKS = 16;

/** One growing buffer: best fit among the gaps, else the end. */
export class Arena {
  readonly #maxChunkBytes: number;
  readonly #alignment: number;
  readonly #chunks: Chunk[] = [];
  /** Where the last tensor was placed. */
  chunk = 0;
  offset = 0;

  constructor({ alignment, maxChunkBytes }: ArenaLimits) {
    this.#alignment = alignment;
    this.#maxChunkBytes = maxChunkBytes;
  }

  get bytes(): number {
    return this.#chunks.reduce((sum, { peak }) => sum + peak, 0);
  }

  padded(size: number): number {
    return Math.ceil(size / this.#alignment) * this.#alignment;
  }

  /** @param size - padded. */
  allocate(size: number): void {
    let gap = this.#bestGap(size);
    if (gap < 0) gap = this.#bestEnd(size);
    if (gap < 0) gap = this.#newChunk(size);
    const chunk = this.#chunks[this.chunk];
    if (chunk === undefined) throw new RangeError(`no chunk ${this.chunk}`);
    const offset = chunk.offsets[gap] ?? 0;
    const left = (chunk.sizes[gap] ?? 0) - size;
    if (left === 0) {
      chunk.offsets.splice(gap, 1);
      chunk.sizes.splice(gap, 1);
    } else {
      chunk.offsets[gap] = offset + size;
      chunk.sizes[gap] = left;
    }
    if (offset + size > chunk.peak) chunk.peak = offset + size;
    this.offset = offset;
  }

  /**
   * `ggml_dyn_tallocr_free_bytes`, step by step: it joins with the first gap that it touches and looks at one neighbour
   * of that alone, so that gaps without bytes, which empty tensors leave, keep others apart.
   */
  release(chunkIndex: number, offset: number, size: number): void {
    const chunk = this.#chunks[chunkIndex];
    if (chunk === undefined) throw new RangeError(`no chunk ${chunkIndex}`);
    const { offsets, sizes } = chunk;
    const end = offset + size;
    const count = offsets.length;
    for (let index = 0; index < count; index += 1) {
      const start = offsets[index] ?? 0;
      const length = sizes[index] ?? 0;
      if (start + length === offset) {
        if (index + 1 < count && end === offsets[index + 1]) {
          sizes[index] = length + size + (sizes[index + 1] ?? 0);
          offsets.splice(index + 1, 1);
          sizes.splice(index + 1, 1);
        } else {
          sizes[index] = length + size;
        }
        return;
      }
      if (end === start) {
        if (index > 0 && (offsets[index - 1] ?? 0) + (sizes[index - 1] ?? 0) === offset) {
          sizes[index - 1] = (sizes[index - 1] ?? 0) + size + length;
          offsets.splice(index, 1);
          sizes.splice(index, 1);
        } else {
          offsets[index] = offset;
          sizes[index] = length + size;
        }
        return;
      }
    }
    let next = 0;
    while (next < count && (offsets[next] ?? 0) < offset) next += 1;
    offsets.splice(next, 0, offset);
    sizes.splice(next, 0, size);
  }

  /**
   * The smallest gap that is large enough, of equal ones the last; of several chunks that of the last. The end of a chunk
   * is no gap. -1: there is none.
   */
  #bestGap(size: number): number {
    let best = -1;
    for (let at = 0; at < this.#chunks.length; at += 1) {
      const { sizes } = this.#chunks[at] ?? NO_CHUNK;
      let bestSize = Number.POSITIVE_INFINITY;
      for (let index = 0; index < sizes.length - 1; index += 1) {
        const available = sizes[index] ?? 0;
        if (available < size || available > bestSize) continue;
        best = index;
        bestSize = available;
        this.chunk = at;
      }
    }
    return best;
  }

  /** The end that needs the least growth, or wastes the least of what has been reached before. -1: none is large enough. */
  #bestEnd(size: number): number {
    let best = -1;
    let bestReuse = Number.NEGATIVE_INFINITY;
    for (let at = 0; at < this.#chunks.length; at += 1) {
      const { offsets, sizes, peak } = this.#chunks[at] ?? NO_CHUNK;
      const index = sizes.length - 1;
      if (index < 0 || (sizes[index] ?? 0) < size) continue;
      const reuse = peak - (offsets[index] ?? 0) - size;
      if ((bestReuse < 0 && reuse > bestReuse) || (reuse >= 0 && reuse < bestReuse)) {
        best = index;
        bestReuse = reuse;
        this.chunk = at;
      }
    }
    return best;
  }

  #newChunk(size: number): number {
    const isLast = this.#chunks.length >= MAX_CHUNKS - 1;
    const available = isLast ? Number.MAX_SAFE_INTEGER : Math.max(size, this.#maxChunkBytes);
    this.chunk = this.#chunks.push({ offsets: [0], sizes: [available], peak: 0 }) - 1;
    return 0;
  }
}

const NO_CHUNK: Chunk = { offsets: [], sizes: [], peak: 0 };
