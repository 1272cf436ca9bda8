/**
 * A buffer as ggml fills it: `ggml_dyn_tallocr_*` of ggml/src/ggml-alloc.c, release v0.5.0, on sizes alone.
 */

/** How the buffers of a backend are made. */
export interface ArenaLimits {
  readonly alignment: number;
  /** A buffer grows to this and then another is begun; a tensor may be larger (`get_max_size` of the buffer type). */
  readonly maxChunkBytes: number;
}

/** Gaps that a part of a buffer has room for at first. */
const FIRST_GAPS = 64;

/** A part of a buffer: its gaps in the order of their offsets, the last of which is its end. */
class Chunk {
  offsets: Float64Array = new Float64Array(FIRST_GAPS);
  sizes: Float64Array = new Float64Array(FIRST_GAPS);
  count = 1;
  /** The end of the highest tensor so far. */
  peak = 0;

  constructor(size: number) {
    this.sizes[0] = size;
  }

  remove(gap: number): void {
    const { offsets, sizes } = this;
    this.count -= 1;
    for (let at = gap; at < this.count; at += 1) {
      offsets[at] = offsets[at + 1] ?? 0;
      sizes[at] = sizes[at + 1] ?? 0;
    }
  }

  /** Before the first gap that does not lie before it: gaps without bytes can lie out of order. */
  insert(offset: number, size: number): void {
    if (this.count === this.sizes.length) this.#grow();
    const { offsets, sizes, count } = this;
    let place = 0;
    while (place < count && (offsets[place] ?? 0) < offset) place += 1;
    for (let at = count; at > place; at -= 1) {
      offsets[at] = offsets[at - 1] ?? 0;
      sizes[at] = sizes[at - 1] ?? 0;
    }
    offsets[place] = offset;
    sizes[place] = size;
    this.count = count + 1;
  }

  #grow(): void {
    const offsets = new Float64Array(2 * this.count);
    const sizes = new Float64Array(2 * this.count);
    offsets.set(this.offsets);
    sizes.set(this.sizes);
    this.offsets = offsets;
    this.sizes = sizes;
  }
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
    const chunk = this.#chunk(this.chunk);
    const offset = chunk.offsets[gap] ?? 0;
    const left = (chunk.sizes[gap] ?? 0) - size;
    if (left === 0) {
      chunk.remove(gap);
    } else {
      chunk.offsets[gap] = offset + size;
      chunk.sizes[gap] = left;
    }
    if (offset + size > chunk.peak) chunk.peak = offset + size;
    this.offset = offset;
  }

  #chunk(index: number): Chunk {
    const chunk = this.#chunks[index];
    if (chunk === undefined) throw new RangeError(`no chunk ${index}`);
    return chunk;
  }

  /**
   * `ggml_dyn_tallocr_free_bytes`, step by step: it joins with the first gap that it touches and looks at one neighbour
   * of that alone, so that gaps without bytes, which empty tensors leave, keep others apart.
   */
  release(chunkIndex: number, offset: number, size: number): void {
    const chunk = this.#chunk(chunkIndex);
    const { offsets, sizes, count } = chunk;
    const end = offset + size;
    for (let gap = 0; gap < count; gap += 1) {
      const start = offsets[gap] ?? 0;
      const length = sizes[gap] ?? 0;
      if (start + length === offset) {
        sizes[gap] = length + size;
        if (gap + 1 < count && offsets[gap + 1] === end) {
          sizes[gap] = length + size + (sizes[gap + 1] ?? 0);
          chunk.remove(gap + 1);
        }
        return;
      }
      if (start === end) {
        offsets[gap] = offset;
        sizes[gap] = length + size;
        if (gap > 0 && (offsets[gap - 1] ?? 0) + (sizes[gap - 1] ?? 0) === offset) {
          sizes[gap - 1] = (sizes[gap - 1] ?? 0) + size + length;
          chunk.remove(gap);
        }
        return;
      }
    }
    chunk.insert(offset, size);
  }

  /**
   * The smallest gap that is large enough, of equal ones the last; of several chunks that of the last. The end of a chunk
   * is no gap. -1: there is none.
   */
  #bestGap(size: number): number {
    const chunks = this.#chunks;
    let best = -1;
    for (let at = 0; at < chunks.length; at += 1) {
      const { sizes, count } = this.#chunk(at);
      let bestSize = Number.POSITIVE_INFINITY;
      for (let gap = 0; gap < count - 1; gap += 1) {
        const available = sizes[gap] ?? 0;
        if (available < size || available > bestSize) continue;
        best = gap;
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
      const { offsets, sizes, count, peak } = this.#chunk(at);
      const end = count - 1;
      if (end < 0 || (sizes[end] ?? 0) < size) continue;
      const reuse = peak - (offsets[end] ?? 0) - size;
      if ((bestReuse < 0 && reuse > bestReuse) || (reuse >= 0 && reuse < bestReuse)) {
        best = end;
        bestReuse = reuse;
        this.chunk = at;
      }
    }
    return best;
  }

  #newChunk(size: number): number {
    const isLast = this.#chunks.length >= MAX_CHUNKS - 1;
    const available = isLast ? Number.MAX_SAFE_INTEGER : Math.max(size, this.#maxChunkBytes);
    this.chunk = this.#chunks.push(new Chunk(available)) - 1;
    return 0;
  }
}
