import { OP, TYPE, UNARY, type Operation, type TypeId, type Unary } from './operations.ts';
import { DIMENSIONS, SHAPE_STRIDE, TensorStore, type Tensor } from './tensor-store.ts';

/**
 * A graph under construction: as much of ggml (ggml/src/ggml.c, release v0.5.0) as decides where a tensor lies. Methods are
 * named after the functions that they mirror.
 */
export class TensorGraph extends TensorStore {
  /** A result of the same lengths as `like` (`ggml_dup_tensor`). */
  #like(op: Operation, like: Tensor, type = this.type[like] ?? 0): Tensor {
    return this.create(op, type, this.ne(like, 0), this.ne(like, 1), this.ne(like, 2), this.ne(like, 3));
  }

  #result(tensor: Tensor, first: Tensor, second = -1, third = -1): Tensor {
    this.addSource(tensor, first);
    if (second >= 0) this.addSource(tensor, second);
    if (third >= 0) this.addSource(tensor, third);
    return tensor;
  }

  /** An operation on one tensor, or on several of which the first has the lengths of the result. */
  sameLengths(op: Operation, first: Tensor, second = -1, third = -1): Tensor {
    return this.#result(this.#like(op, first), first, second, third);
  }

  add(a: Tensor, b: Tensor): Tensor {
    return this.sameLengths(OP.add, a, b);
  }

  addId(a: Tensor, b: Tensor, ids: Tensor): Tensor {
    return this.sameLengths(OP.addId, a, b, ids);
  }

  mul(a: Tensor, b: Tensor): Tensor {
    return this.sameLengths(OP.mul, a, b);
  }

  div(a: Tensor, b: Tensor): Tensor {
    return this.sameLengths(OP.div, a, b);
  }

  scale(a: Tensor): Tensor {
    return this.sameLengths(OP.scale, a);
  }

  clamp(a: Tensor): Tensor {
    return this.sameLengths(OP.clamp, a);
  }

  rmsNorm(a: Tensor): Tensor {
    return this.sameLengths(OP.rmsNorm, a);
  }

  softMax(a: Tensor, mask = -1, sinks = -1): Tensor {
    return this.sameLengths(OP.softMax, a, mask, sinks);
  }

  rope(a: Tensor, positions: Tensor, factors = -1): Tensor {
    return this.sameLengths(OP.rope, a, positions, factors);
  }

  fill(a: Tensor): Tensor {
    return this.sameLengths(OP.fill, a);
  }

  unary(a: Tensor, kind: Unary = UNARY.other): Tensor {
    const result = this.sameLengths(OP.unary, a);
    this.unaryOf[result] = kind;
    return result;
  }

  /** `ggml_glu_split`: a gate and what it gates. */
  gluSplit(gate: Tensor, up: Tensor): Tensor {
    return this.sameLengths(OP.glu, gate, up);
  }

  /** `ggml_glu`: both halves of a row. */
  glu(a: Tensor): Tensor {
    const type = this.type[a] ?? 0;
    return this.#result(
      this.create(OP.glu, type, this.ne(a, 0) / 2, this.ne(a, 1), this.ne(a, 2), this.ne(a, 3)),
      a,
    );
  }

  mulMat(weight: Tensor, b: Tensor): Tensor {
    return this.#result(
      this.create(OP.mulMat, TYPE.f32, this.ne(weight, 1), this.ne(b, 1), this.ne(b, 2), this.ne(b, 3)),
      weight,
      b,
    );
  }

  mulMatId(weights: Tensor, b: Tensor, ids: Tensor): Tensor {
    return this.#result(
      this.create(OP.mulMatId, TYPE.f32, this.ne(weights, 1), this.ne(ids, 0), this.ne(b, 2)),
      weights,
      b,
      ids,
    );
  }

  /** The result is F32 whatever the rows are, but whole numbers stay that. */
  getRows(a: Tensor, rows: Tensor): Tensor {
    const type = this.type[a] === TYPE.i32 ? TYPE.i32 : TYPE.f32;
    return this.#result(
      this.create(OP.getRows, type, this.ne(a, 0), this.ne(rows, 0), this.ne(rows, 1), this.ne(rows, 2)),
      a,
      rows,
    );
  }

  /** The result is a view of what is written to, which is the last source. */
  setRows(destination: Tensor, values: Tensor, rows: Tensor): Tensor {
    return this.#result(this.viewOf(OP.setRows, destination), values, rows, destination);
  }

  /** A copy into another tensor, of which the result is a view. */
  cpy(a: Tensor, destination: Tensor): Tensor {
    return this.#result(this.viewOf(OP.cpy, destination), a, destination);
  }

  /** A copy of another type; the engine makes it a source of itself. */
  cast(a: Tensor, type: TypeId): Tensor {
    const result = this.#like(OP.cpy, a, type);
    return this.#result(result, a, result);
  }

  cont(a: Tensor): Tensor {
    return this.sameLengths(OP.cont, a);
  }

  cont2d(a: Tensor, ne0: number, ne1: number): Tensor {
    return this.cont3d(a, ne0, ne1, 1);
  }

  cont3d(a: Tensor, ne0: number, ne1: number, ne2: number): Tensor {
    return this.#result(this.create(OP.cont, this.type[a] ?? 0, ne0, ne1, ne2), a);
  }

  /** `ggml_argsort_top_k`: all are sorted, and the first looked at. */
  argsortTopK(a: Tensor, k: number): Tensor {
    const sorted = this.#result(this.#like(OP.argsort, a, TYPE.i32), a);
    return this.view4d(
      sorted,
      k,
      this.ne(sorted, 1),
      this.ne(sorted, 2),
      this.ne(sorted, 3),
      this.nb(sorted, 1),
      this.nb(sorted, 2),
      this.nb(sorted, 3),
    );
  }

  topK(a: Tensor, k: number): Tensor {
    return this.#result(this.create(OP.topK, TYPE.i32, k, this.ne(a, 1), this.ne(a, 2), this.ne(a, 3)), a);
  }

  sumRows(a: Tensor, op: Operation = OP.sumRows): Tensor {
    const type = this.type[a] ?? 0;
    return this.#result(this.create(op, type, 1, this.ne(a, 1), this.ne(a, 2), this.ne(a, 3)), a);
  }

  repeat4d(a: Tensor, ne0: number, ne1: number, ne2: number, ne3: number): Tensor {
    return this.#result(this.create(OP.repeat, this.type[a] ?? 0, ne0, ne1, ne2, ne3), a);
  }

  concat(a: Tensor, b: Tensor, dimension: number): Tensor {
    const length = (each: number): number => this.ne(a, each) + (each === dimension ? this.ne(b, each) : 0);
    const result = this.create(OP.concat, this.type[a] ?? 0, length(0), length(1), length(2), length(3));
    return this.#result(result, a, b);
  }

  pad(a: Tensor, by0: number): Tensor {
    const type = this.type[a] ?? 0;
    return this.#result(
      this.create(OP.pad, type, this.ne(a, 0) + by0, this.ne(a, 1), this.ne(a, 2), this.ne(a, 3)),
      a,
    );
  }

  flashAttention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, sinks = -1): Tensor {
    const result = this.create(
      OP.flashAttention,
      TYPE.f32,
      this.ne(v, 0),
      this.ne(q, 2),
      this.ne(q, 1),
      this.ne(q, 3),
    );
    this.addSource(result, q);
    this.#result(result, k, v, mask);
    if (sinks >= 0) this.addSource(result, sinks);
    return result;
  }

  /** Any other operation: its result and its sources. */
  operation(
    op: Operation,
    ne: readonly number[],
    sources: readonly Tensor[],
    type: TypeId = TYPE.f32,
  ): Tensor {
    const result = this.create(op, type, ne[0] ?? 1, ne[1], ne[2], ne[3]);
    for (const each of sources) this.addSource(result, each);
    return result;
  }

  /** An operation whose result lies where its first source does (`ggml_scale_inplace`). */
  inPlace(op: Operation, a: Tensor, b = -1): Tensor {
    return this.#result(this.viewOf(op, a), a, b);
  }

  #look(op: Operation, a: Tensor, ne0: number, ne1: number, ne2: number, ne3: number): Tensor {
    const result = this.create(op, this.type[a] ?? 0, ne0, ne1, ne2, ne3);
    this.viewed[result] = this.root(a);
    this.addSource(result, a);
    return result;
  }

  reshape(a: Tensor, ne0: number, ne1 = 1, ne2 = 1, ne3 = 1): Tensor {
    return this.#look(OP.reshape, a, ne0, ne1, ne2, ne3);
  }

  view1d(a: Tensor, ne0: number): Tensor {
    return this.#look(OP.view, a, ne0, 1, 1, 1);
  }

  view2d(a: Tensor, ne0: number, ne1: number, nb1: number): Tensor {
    return this.view4d(a, ne0, ne1, 1, 1, nb1, nb1 * ne1, nb1 * ne1);
  }

  view3d(a: Tensor, ne0: number, ne1: number, ne2: number, nb1: number, nb2: number): Tensor {
    return this.view4d(a, ne0, ne1, ne2, 1, nb1, nb2, nb2 * ne2);
  }

  view4d(
    a: Tensor,
    ne0: number,
    ne1: number,
    ne2: number,
    ne3: number,
    nb1: number,
    nb2: number,
    nb3: number,
  ): Tensor {
    const result = this.#look(OP.view, a, ne0, ne1, ne2, ne3);
    this.setStrides(result, nb1, nb2, nb3);
    return result;
  }

  /** Axis i of `a` becomes axis `axes[i]` of the result. */
  permute(a: Tensor, axis0: number, axis1: number, axis2: number, axis3: number): Tensor {
    const result = this.viewOf(OP.permute, a);
    this.addSource(result, a);
    const { shape } = this;
    const from = a * SHAPE_STRIDE;
    const to = result * SHAPE_STRIDE;
    for (const half of [0, DIMENSIONS]) {
      shape[to + half + axis0] = shape[from + half] ?? 0;
      shape[to + half + axis1] = shape[from + half + 1] ?? 0;
      shape[to + half + axis2] = shape[from + half + 2] ?? 0;
      shape[to + half + axis3] = shape[from + half + 3] ?? 0;
    }
    return result;
  }

  transpose(a: Tensor): Tensor {
    const result = this.permute(a, 1, 0, 2, 3);
    this.op[result] = OP.transpose;
    return result;
  }
}
