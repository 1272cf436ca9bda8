import { BLOCK_BYTES, BLOCK_SIZE, OP, type Operation, type TypeId } from './operations.ts';

/** A tensor of a graph, by the order in which they were made. */
export type Tensor = number;

/** Where a tensor lies before the graph is laid out: nowhere, or in a buffer of weights or caches. */
export const PLACE = { graph: 0, deviceWeights: 1, hostWeights: 2, deviceCache: 3, hostCache: 4 } as const;
export type Place = (typeof PLACE)[keyof typeof PLACE];

/** `GGML_TENSOR_FLAG_INPUT` and `GGML_TENSOR_FLAG_OUTPUT`. */
export const FLAG = { input: 1, output: 2 } as const;

/** Lengths and strides of a tensor. */
export const DIMENSIONS = 4;
export const SHAPE_STRIDE = 2 * DIMENSIONS;
/** Tensors that most graphs have; few have more than twice as many. */
const FIRST_CAPACITY = 512;
/** Most tensors read one or two others. */
const SOURCES_OF_ONE = 2;

/** What a graph is written to. */
interface Arrays {
  readonly op: Uint8Array;
  readonly type: Uint8Array;
  readonly flags: Uint8Array;
  readonly place: Uint8Array;
  readonly device: Uint8Array;
  readonly unaryOf: Uint8Array;
  readonly viewed: Int32Array;
  readonly uses: Int32Array;
  readonly shape: Float64Array;
  readonly sources: Int32Array;
  readonly sourceStart: Int32Array;
  readonly sourceCount: Uint8Array;
  readonly visited: Uint8Array;
}

/** The arrays of a graph that is not needed any more. */
let spare: Arrays | null = null;

function takeArrays(): Arrays {
  const taken = spare;
  spare = null;
  return (
    taken ?? {
      op: new Uint8Array(FIRST_CAPACITY),
      type: new Uint8Array(FIRST_CAPACITY),
      flags: new Uint8Array(FIRST_CAPACITY),
      place: new Uint8Array(FIRST_CAPACITY),
      device: new Uint8Array(FIRST_CAPACITY),
      unaryOf: new Uint8Array(FIRST_CAPACITY),
      viewed: new Int32Array(FIRST_CAPACITY),
      uses: new Int32Array(FIRST_CAPACITY),
      shape: new Float64Array(FIRST_CAPACITY * SHAPE_STRIDE),
      sources: new Int32Array(FIRST_CAPACITY * SOURCES_OF_ONE),
      sourceStart: new Int32Array(FIRST_CAPACITY),
      sourceCount: new Uint8Array(FIRST_CAPACITY),
      visited: new Uint8Array(FIRST_CAPACITY),
    }
  );
}

/**
 * Tensors with their operations, sources, lengths and strides, and the order in which they are computed. All of a kind
 * lies in one array, as graphs are made by the thousand.
 */
export class TensorStore {
  op: Uint8Array;
  type: Uint8Array;
  flags: Uint8Array;
  place: Uint8Array;
  /** The GPU whose weight or cache it is, counted from 0; not read for others. */
  device: Uint8Array;
  /** What a unary operation computes: {@link UNARY}. */
  unaryOf: Uint8Array;
  /** The tensor whose memory this one looks at, with views followed to their end; -1: it has its own. */
  viewed: Int32Array;
  /** How many computed tensors read it (`use_counts`). */
  uses: Int32Array;
  /** Four lengths (`ne`), then four strides in bytes (`nb`). */
  shape: Float64Array;
  /** The sources of all tensors, one tensor after the other. */
  sources: Int32Array;
  sourceStart: Int32Array;
  sourceCount: Uint8Array;
  #visited: Uint8Array;
  count = 0;
  #sources = 0;
  /** In the order in which they are computed. */
  readonly nodes: Tensor[] = [];
  /** Weights, caches and inputs, in the order in which they are reached. */
  readonly leafs: Tensor[] = [];

  constructor() {
    const arrays = takeArrays();
    this.op = arrays.op;
    this.type = arrays.type;
    this.flags = arrays.flags;
    this.place = arrays.place;
    this.device = arrays.device;
    this.unaryOf = arrays.unaryOf;
    this.viewed = arrays.viewed;
    this.uses = arrays.uses;
    this.shape = arrays.shape;
    this.sources = arrays.sources;
    this.sourceStart = arrays.sourceStart;
    this.sourceCount = arrays.sourceCount;
    this.#visited = arrays.visited;
  }

  /** Leaves the arrays to the next graph: nothing may read this one any more. */
  release(): void {
    const { op, type, flags, place, device, unaryOf, viewed, uses, shape } = this;
    const { sources, sourceStart, sourceCount } = this;
    spare = {
      op,
      type,
      flags,
      place,
      device,
      unaryOf,
      viewed,
      uses,
      shape,
      sources,
      sourceStart,
      sourceCount,
      visited: this.#visited,
    };
  }

  ne(tensor: Tensor, dimension: number): number {
    return this.shape[tensor * SHAPE_STRIDE + dimension] ?? 0;
  }

  nb(tensor: Tensor, dimension: number): number {
    return this.shape[tensor * SHAPE_STRIDE + DIMENSIONS + dimension] ?? 0;
  }

  /** `ggml_nelements`. */
  elements(tensor: Tensor): number {
    return this.ne(tensor, 0) * this.ne(tensor, 1) * this.ne(tensor, 2) * this.ne(tensor, 3);
  }

  /** `ggml_nbytes`: from the first byte to the last, gaps between rows included. */
  bytes(tensor: Tensor): number {
    const at = tensor * SHAPE_STRIDE;
    const { shape } = this;
    const ne0 = shape[at] ?? 0;
    const ne1 = shape[at + 1] ?? 0;
    const ne2 = shape[at + 2] ?? 0;
    const ne3 = shape[at + 3] ?? 0;
    if (ne0 <= 0 || ne1 <= 0 || ne2 <= 0 || ne3 <= 0) return 0;
    const nb0 = shape[at + 4] ?? 0;
    const type = this.type[tensor] ?? 0;
    const block = BLOCK_SIZE[type] ?? 1;
    const row = block === 1 ? (BLOCK_BYTES[type] ?? 0) + (ne0 - 1) * nb0 : (ne0 * nb0) / block;
    return (
      row +
      (ne1 - 1) * (shape[at + 5] ?? 0) +
      (ne2 - 1) * (shape[at + 6] ?? 0) +
      (ne3 - 1) * (shape[at + 7] ?? 0)
    );
  }

  sourceOf(tensor: Tensor, index: number): Tensor {
    if (index >= (this.sourceCount[tensor] ?? 0)) return -1;
    return this.sources[(this.sourceStart[tensor] ?? 0) + index] ?? -1;
  }

  /** `ggml_new_tensor_4d`: rows without gaps. */
  create(op: Operation, type: TypeId, ne0: number, ne1 = 1, ne2 = 1, ne3 = 1): Tensor {
    const tensor = this.count;
    this.count += 1;
    if (tensor === this.op.length) this.#grow();
    this.op[tensor] = op;
    this.type[tensor] = type;
    // The arrays may be those of an earlier graph.
    this.flags[tensor] = 0;
    this.place[tensor] = PLACE.graph;
    this.device[tensor] = 0;
    this.unaryOf[tensor] = 0;
    this.viewed[tensor] = -1;
    this.uses[tensor] = 0;
    this.sourceStart[tensor] = this.#sources;
    this.sourceCount[tensor] = 0;
    this.#visited[tensor] = 0;
    const nb0 = BLOCK_BYTES[type] ?? 0;
    const nb1 = nb0 * (ne0 / (BLOCK_SIZE[type] ?? 1));
    const at = tensor * SHAPE_STRIDE;
    const { shape } = this;
    shape[at] = ne0;
    shape[at + 1] = ne1;
    shape[at + 2] = ne2;
    shape[at + 3] = ne3;
    shape[at + 4] = nb0;
    shape[at + 5] = nb1;
    shape[at + 6] = nb1 * ne1;
    shape[at + 7] = nb1 * ne1 * ne2;
    return tensor;
  }

  /** @throws RangeError when the tensor is not the last that was given a source: sources lie one after the other. */
  addSource(tensor: Tensor, source: Tensor): void {
    const count = this.sourceCount[tensor] ?? 0;
    const at = (this.sourceStart[tensor] ?? 0) + count;
    if (at !== this.#sources || source < 0) throw new RangeError(`tensor ${tensor} cannot read ${source}`);
    if (at === this.sources.length) this.sources = grownWords(this.sources);
    this.sources[at] = source;
    this.sourceCount[tensor] = count + 1;
    this.#sources = at + 1;
  }

  replaceSource(tensor: Tensor, index: number, source: Tensor): void {
    this.sources[(this.sourceStart[tensor] ?? 0) + index] = source;
  }

  setStrides(tensor: Tensor, nb1: number, nb2: number, nb3: number): void {
    const at = tensor * SHAPE_STRIDE + DIMENSIONS;
    this.shape[at + 1] = nb1;
    this.shape[at + 2] = nb2;
    this.shape[at + 3] = nb3;
  }

  /** A tensor that the caller fills (`ggml_set_input`). */
  input(type: TypeId, ne0: number, ne1 = 1, ne2 = 1, ne3 = 1): Tensor {
    const tensor = this.create(OP.none, type, ne0, ne1, ne2, ne3);
    this.flags[tensor] = FLAG.input;
    return tensor;
  }

  /** A weight or a cache, which has memory of its own already. */
  stored(place: Place, type: TypeId, ne0: number, ne1 = 1, ne2 = 1, ne3 = 1): Tensor {
    const tensor = this.create(OP.none, type, ne0, ne1, ne2, ne3);
    this.place[tensor] = place;
    return tensor;
  }

  /** `ggml_set_output`: read after the graph has run, so that its memory is never given away. */
  setOutput(tensor: Tensor): void {
    this.flags[tensor] = (this.flags[tensor] ?? 0) | FLAG.output;
  }

  /** `ggml_view_tensor` with an operation: the same lengths and strides, and the memory of the other. */
  viewOf(op: Operation, a: Tensor): Tensor {
    const result = this.create(op, this.type[a] ?? 0, 0);
    this.shape.copyWithin(result * SHAPE_STRIDE, a * SHAPE_STRIDE, (a + 1) * SHAPE_STRIDE);
    this.viewed[result] = this.root(a);
    return result;
  }

  /** The tensor whose memory this one is. */
  root(tensor: Tensor): Tensor {
    const viewed = this.viewed[tensor] ?? -1;
    return viewed < 0 ? tensor : viewed;
  }

  /** What the scheduler puts before or behind a node, so that the sources outlive it: no operation. */
  dependency(of: Tensor): Tensor {
    return this.viewOf(OP.none, of);
  }

  /** `ggml_dup_tensor_layout`: a tensor of its own with the same strides. */
  copyOfLayout(a: Tensor): Tensor {
    const result = this.viewOf(OP.none, a);
    this.viewed[result] = -1;
    return result;
  }

  /** `ggml_build_forward_expand`: the tensor and all that it needs, depth first, the first source first. */
  expand(tensor: Tensor): void {
    if (this.#visited[tensor] === 1) return;
    this.#visited[tensor] = 1;
    const at = this.sourceStart[tensor] ?? 0;
    const count = this.sourceCount[tensor] ?? 0;
    for (let index = 0; index < count; index += 1) {
      const source = this.sources[at + index] ?? 0;
      this.expand(source);
      this.uses[source] = (this.uses[source] ?? 0) + 1;
    }
    if (this.op[tensor] === OP.none) this.leafs.push(tensor);
    else this.nodes.push(tensor);
  }

  #grow(): void {
    this.op = grownBytes(this.op);
    this.type = grownBytes(this.type);
    this.flags = grownBytes(this.flags);
    this.place = grownBytes(this.place);
    this.device = grownBytes(this.device);
    this.unaryOf = grownBytes(this.unaryOf);
    this.sourceCount = grownBytes(this.sourceCount);
    this.#visited = grownBytes(this.#visited);
    this.viewed = grownWords(this.viewed);
    this.uses = grownWords(this.uses);
    this.sourceStart = grownWords(this.sourceStart);
    const shape = new Float64Array(2 * this.shape.length);
    shape.set(this.shape);
    this.shape = shape;
  }
}

function grownBytes(old: Uint8Array): Uint8Array {
  const grown = new Uint8Array(2 * old.length);
  grown.set(old);
  return grown;
}

function grownWords(old: Int32Array): Int32Array {
  const grown = new Int32Array(2 * old.length);
  grown.set(old);
  return grown;
}
