import { isViewOperation, OP, TYPE, UNARY, type Operation } from './operations.ts';
import type { TensorGraph } from './tensor-graph.ts';
import { FLAG, PLACE, type Tensor } from './tensor-store.ts';
import { isContiguous } from './vulkan-support.ts';

/** How far ahead independent nodes are looked for (`NUM_TO_CHECK`), and what belongs to a pulled one. */
const LOOK_AHEAD = 20;
const PULL_AHEAD = 15;

/**
 * Sequences that become one operation and are kept together (ggml/src/ggml-vulkan/ggml-vulkan-types.h), in the order in
 * which they are looked for. Those that route to experts also keep what they read until their result is there.
 */
const ROUTING_PATTERNS: readonly (readonly Operation[])[] = [
  [
    OP.softMax,
    OP.reshape,
    OP.argsort,
    OP.view,
    OP.getRows,
    OP.reshape,
    OP.sumRows,
    OP.clamp,
    OP.div,
    OP.reshape,
  ],
  [
    OP.unary,
    OP.reshape,
    OP.add,
    OP.argsort,
    OP.view,
    OP.getRows,
    OP.reshape,
    OP.sumRows,
    OP.clamp,
    OP.div,
    OP.reshape,
  ],
  [
    OP.unary,
    OP.sqrt,
    OP.reshape,
    OP.add,
    OP.argsort,
    OP.view,
    OP.getRows,
    OP.reshape,
    OP.sumRows,
    OP.clamp,
    OP.div,
    OP.reshape,
  ],
  [OP.softMax, OP.reshape, OP.argsort, OP.view, OP.getRows],
  [OP.argsort, OP.view, OP.getRows, OP.reshape, OP.softMax, OP.reshape],
];
const OTHER_PATTERNS: readonly (readonly Operation[])[] = [
  [OP.rmsNorm, OP.mul, OP.add, OP.mul],
  [OP.rmsNorm, OP.mul, OP.add],
  [OP.rmsNorm, OP.mul, OP.rope, OP.view, OP.setRows],
  [OP.rmsNorm, OP.view, OP.setRows],
  [OP.rope, OP.view, OP.setRows],
];
const PATTERNS = [...ROUTING_PATTERNS, ...OTHER_PATTERNS];

/**
 * The order in which Vulkan computes its part of a graph: `ggml_vk_graph_optimize`
 * (ggml/src/ggml-vulkan/ggml-vulkan.cpp, release v0.5.0), step by step. What does not depend on each other comes
 * together, so that it can run at the same time.
 * @param held - gets, for a node, the tensors that may not be freed before it.
 */
export function vulkanOrder(
  graph: TensorGraph,
  nodes: readonly Tensor[],
  held: Map<Tensor, Tensor[]>,
): Tensor[] {
  return new Reordering(graph, nodes, held).order();
}

class Reordering {
  readonly #graph: TensorGraph;
  readonly #nodes: readonly Tensor[];
  readonly #held: Map<Tensor, Tensor[]>;
  readonly #used: Uint8Array;
  /** Which nodes before it each one depends on: bit d - 1 for the one d places before. */
  readonly #depends: Int32Array;
  readonly #placed = new Set<Tensor>();
  readonly #ordered: Tensor[] = [];
  /** Places of the nodes that come next. */
  #current: number[] = [];
  #first = 0;

  constructor(graph: TensorGraph, nodes: readonly Tensor[], held: Map<Tensor, Tensor[]>) {
    this.#graph = graph;
    this.#nodes = nodes;
    this.#held = held;
    this.#used = new Uint8Array(nodes.length);
    this.#depends = Int32Array.from(nodes, (_, place) => this.#dependencies(place));
  }

  order(): Tensor[] {
    while (this.#first < this.#nodes.length) {
      if (this.#keepPattern()) continue;
      this.#current = [this.#first];
      this.#gatherIndependent();
      if (this.#opAt(this.#current.at(-1) ?? 0) !== OP.add) this.#gatherViews();
      for (const place of this.#current) this.#take(place);
      this.#skipUsed();
    }
    return this.#ordered;
  }

  #at(place: number): Tensor {
    return this.#nodes[place] ?? 0;
  }

  #opAt(place: number): Operation {
    return this.#graph.op[this.#at(place)] ?? 0;
  }

  #isEmptyAt(place: number): boolean {
    const op = this.#opAt(place);
    return op === OP.none || isViewOperation(op);
  }

  #take(place: number): void {
    this.#ordered.push(this.#at(place));
    this.#placed.add(this.#at(place));
    this.#used[place] = 1;
  }

  #skipUsed(): void {
    while (this.#first < this.#nodes.length && this.#used[this.#first] === 1) this.#first += 1;
  }

  #dependencies(place: number): number {
    let bits = 0;
    for (let distance = 1; distance < LOOK_AHEAD && distance <= place; distance += 1) {
      if (this.#reads(place, place - distance)) bits |= 1 << (distance - 1);
    }
    return bits;
  }

  /** `is_src_of`. */
  #reads(later: number, earlier: number): boolean {
    const graph = this.#graph;
    const result = this.#at(later);
    const before = this.#at(earlier);
    const resultRoot = graph.root(result);
    const beforeRoot = graph.root(before);
    if (resultRoot === beforeRoot) return true;
    const compares = !this.#isEmptyAt(later) && !this.#isEmptyAt(earlier);
    const count = graph.sourceCount[result] ?? 0;
    for (let index = 0; index < count; index += 1) {
      const source = graph.sourceOf(result, index);
      if (source === before || (compares && graph.root(source) === beforeRoot)) return true;
    }
    if (!compares) return false;
    const beforeCount = graph.sourceCount[before] ?? 0;
    for (let index = 0; index < beforeCount; index += 1) {
      if (graph.root(graph.sourceOf(before, index)) === resultRoot) return true;
    }
    return false;
  }

  #matches(pattern: readonly Operation[], start: number): boolean {
    if (start + pattern.length > this.#nodes.length) return false;
    for (let index = 0; index < pattern.length; index += 1) {
      if (this.#opAt(start + index) !== pattern[index] || this.#used[start + index] === 1) return false;
    }
    return true;
  }

  #keepPattern(): boolean {
    const start = this.#first;
    const pattern = PATTERNS.find((each) => this.#matches(each, start));
    if (pattern === undefined) return false;
    if (ROUTING_PATTERNS.includes(pattern)) this.#holdSources(pattern.length);
    for (let index = 0; index < pattern.length; index += 1) this.#take(start + index);
    this.#skipUsed();
    return true;
  }

  /** `add_pattern_alloc_deps`. */
  #holdSources(length: number): void {
    const graph = this.#graph;
    let last = this.#first + length - 1;
    if (last + 1 < this.#nodes.length && this.#opAt(last + 1) === OP.scale) last += 1;
    const until = this.#at(last);
    const kept = this.#held.get(until) ?? [];
    this.#held.set(until, kept);
    const seen = new Set<Tensor>();
    for (let place = this.#first; place < this.#first + length; place += 1) {
      const node = this.#at(place);
      const count = graph.sourceCount[node] ?? 0;
      for (let index = 0; index < count; index += 1) {
        const source = graph.sourceOf(node, index);
        if (seen.has(source)) continue;
        seen.add(source);
        if (!kept.includes(source)) kept.push(source);
      }
      seen.add(node);
    }
  }

  #gatherIndependent(): void {
    const end = Math.min(this.#first + LOOK_AHEAD, this.#nodes.length);
    for (let place = this.#first + 1; place < end; place += 1) {
      if (this.#used[place] === 1 || this.#isEmptyAt(place)) continue;
      if (PATTERNS.some((pattern) => this.#matches(pattern, place))) continue;
      if (!this.#isReady(place)) continue;
      this.#current.push(place);
      this.#pullFused(place);
    }
  }

  /** Nothing that is still to come is read, but for what is fused with the last of the nodes that come next. */
  #isReady(place: number): boolean {
    const bits = this.#depends[place] ?? 0;
    for (let earlier = this.#first; earlier < place; earlier += 1) {
      if (this.#used[earlier] === 1 || (bits & (1 << (place - earlier - 1))) === 0) continue;
      if (earlier !== this.#current.at(-1) || !this.#fuses(earlier, place)) return false;
    }
    return true;
  }

  #fuses(earlier: number, place: number): boolean {
    const before = this.#opAt(earlier);
    const op = this.#opAt(place);
    if (op === OP.mul && (before === OP.rmsNorm || before === OP.unary)) {
      for (let between = earlier + 1; between < place; between += 1) {
        if (this.#used[between] !== 1 && !this.#isEmptyAt(between)) return false;
      }
      return true;
    }
    if (place !== earlier + 1) return false;
    return (
      (before === OP.mulMat && op === OP.add) ||
      (before === OP.mulMatId && (op === OP.addId || op === OP.mul)) ||
      (before === OP.add && op === OP.add) ||
      (before === OP.ssmConv && (op === OP.add || op === OP.unary))
    );
  }

  /** What is fused with the node just taken is taken as well. */
  #pullFused(place: number): void {
    const op = this.#opAt(place);
    const before = this.#opAt(place - 1);
    let writer = place;
    if (op === OP.mul && before === OP.rmsNorm) {
      const rope = this.#find(place, (each) => this.#opAt(each) === OP.rope && this.#ropes(each, place));
      if (rope !== null) {
        this.#pull(rope);
        writer = rope;
      }
    }
    const written = this.#opAt(writer);
    if (written === OP.rope || written === OP.rmsNorm) this.#pullWrite(writer);
    if (op === OP.addId && before === OP.mulMatId) this.#pullReader(place, OP.mul);
    if (op === OP.add && before === OP.mulMat) this.#pullReader(place, OP.add);
    if (op === OP.add && before === OP.ssmConv) {
      const active = this.#find(
        place,
        (each) => this.#opAt(each) === OP.unary && this.#sourceAt(each, 0) === this.#at(place),
      );
      if (active !== null) this.#pull(active);
    }
    if (op === OP.unary) this.#pullProduct(place);
  }

  #sourceAt(place: number, index: number): Tensor {
    return this.#graph.sourceOf(this.#at(place), index);
  }

  #find(place: number, accepts: (each: number) => boolean): number | null {
    const end = Math.min(place + PULL_AHEAD, this.#nodes.length);
    for (let each = place + 1; each < end; each += 1) if (accepts(each)) return each;
    return null;
  }

  #pull(place: number): void {
    this.#current.push(place);
    this.#used[place] = 1;
  }

  #isInput(tensor: Tensor): boolean {
    return tensor === -1 || this.#graph.op[tensor] === OP.none;
  }

  #ropes(rope: number, place: number): boolean {
    return (
      this.#sourceAt(rope, 0) === this.#at(place) &&
      this.#isInput(this.#sourceAt(rope, 1)) &&
      this.#isInput(this.#sourceAt(rope, 2))
    );
  }

  /** A single reader of the node whose other source is there already. */
  #pullReader(place: number, op: Operation): void {
    const reader = this.#find(place, (each) => {
      const other = this.#sourceAt(each, 1);
      return (
        this.#opAt(each) === op &&
        this.#sourceAt(each, 0) === this.#at(place) &&
        (this.#isInput(other) || this.#placed.has(other))
      );
    });
    if (reader !== null) this.#pull(reader);
  }

  #pullProduct(place: number): void {
    const node = this.#at(place);
    const product = this.#find(place, (each) => {
      if (this.#opAt(each) !== OP.mul) return false;
      const [left, right] = [this.#sourceAt(each, 0), this.#sourceAt(each, 1)];
      if (left !== node && right !== node) return false;
      const other = left === node ? right : left;
      return (this.#isInput(other) || this.#placed.has(other)) && this.#multiplies(node, this.#at(each));
    });
    if (product !== null) this.#pull(product);
  }

  /** `ggml_vk_can_fuse_unary_mul`. */
  #multiplies(active: Tensor, product: Tensor): boolean {
    const graph = this.#graph;
    const kind = graph.unaryOf[active];
    if (kind === UNARY.other || kind === UNARY.missing) return false;
    const type = graph.type[active];
    if ((type !== TYPE.f32 && type !== TYPE.f16) || type !== graph.type[product]) return false;
    const [left, right] = [graph.sourceOf(product, 0), graph.sourceOf(product, 1)];
    const other = left === active ? right : left;
    if (graph.type[other] !== type) return false;
    if (!isContiguous(graph, other, 1) || !isContiguous(graph, graph.sourceOf(active, 0), 1)) return false;
    return left === active ? this.#repeats(other, active) : this.#repeats(active, left);
  }

  /** `ggml_can_repeat`. */
  #repeats(small: Tensor, large: Tensor): boolean {
    return [0, 1, 2, 3].every((each) => this.#graph.ne(large, each) % this.#graph.ne(small, each) === 0);
  }

  /** The view of a rotated or normed tensor, and its write to a cache, follow it where nothing between needs it. */
  #pullWrite(writer: number): void {
    const end = Math.min(writer + PULL_AHEAD, this.#nodes.length);
    let view = -1;
    let write = -1;
    for (let each = writer + 1; each < end; each += 1) {
      if (this.#used[each] === 1) continue;
      const op = this.#opAt(each);
      if (view === -1 && op === OP.view && this.#sourceAt(each, 0) === this.#at(writer)) {
        view = each;
      } else if (view !== -1 && op === OP.setRows && this.#sourceAt(each, 0) === this.#at(view)) {
        write = each;
        break;
      }
    }
    if (write === -1 || !this.#isOneUse(writer, view, write)) return;
    for (let each = writer + 1; each < write; each += 1) {
      if (this.#used[each] === 1 || each === view || this.#isEmptyAt(each)) continue;
      if (this.#reads(write, each)) return;
    }
    this.#pull(view);
    this.#pull(write);
  }

  /** `ggml_can_fuse_subgraph_ext` of a tensor, its view and the write: nothing else reads the first two. */
  #isOneUse(writer: number, view: number, write: number): boolean {
    const graph = this.#graph;
    const chain = [writer, view, write].map((place) => this.#at(place));
    return chain.slice(0, 2).every((node, index) => {
      if (((graph.flags[node] ?? 0) & FLAG.output) !== 0) return false;
      const readers = chain.slice(index + 1).reduce((sum, reader) => sum + this.#timesRead(reader, node), 0);
      if (readers !== graph.uses[node]) return false;
      const viewed = graph.viewed[node] ?? -1;
      return viewed === -1 || chain.includes(viewed) || graph.place[viewed] === PLACE.deviceWeights;
    });
  }

  #timesRead(reader: Tensor, node: Tensor): number {
    let times = 0;
    const count = this.#graph.sourceCount[reader] ?? 0;
    for (let index = 0; index < count; index += 1)
      if (this.#graph.sourceOf(reader, index) === node) times += 1;
    return times;
  }

  #gatherViews(): void {
    const end = Math.min(this.#first + LOOK_AHEAD, this.#nodes.length);
    const gathered = new Set(this.#current);
    for (let place = this.#first + 1; place < end; place += 1) {
      if (this.#used[place] === 1 || !this.#isEmptyAt(place)) continue;
      const bits = this.#depends[place] ?? 0;
      let ready = true;
      for (let earlier = this.#first; earlier < place && ready; earlier += 1) {
        ready =
          this.#used[earlier] === 1 || (bits & (1 << (place - earlier - 1))) === 0 || gathered.has(earlier);
      }
      if (!ready) continue;
      this.#current.push(place);
      gathered.add(place);
    }
  }
}
