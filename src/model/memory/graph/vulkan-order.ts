import { isViewOperation, OP, TYPE, UNARY, type Operation } from './operations.ts';
import type { TensorGraph } from './tensor-graph.ts';
import { FLAG, PLACE, type Tensor } from './tensor-store.ts';
import { bitOf, dependencies, LOOK_AHEAD } from './vulkan-dependencies.ts';
import { PATTERNS, PATTERNS_FROM, ROUTING_PATTERNS } from './vulkan-patterns.ts';
import { isContiguous } from './vulkan-support.ts';

/** How far ahead what belongs to a pulled node is looked for. */
const PULL_AHEAD = 15;

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

/** Nodes by their places in the part; what is asked again and again is an array by place. */
class Reordering {
  readonly #graph: TensorGraph;
  readonly #nodes: readonly Tensor[];
  readonly #held: Map<Tensor, Tensor[]>;
  readonly #ops: Uint8Array;
  /** 1 where a node computes nothing. */
  readonly #empty: Uint8Array;
  /** The place of each tensor of the graph in this part; -1: it is in none or another. */
  readonly #places: Int32Array;
  /** Which nodes before it each one depends on: bit d - 1 for the one d places before. */
  readonly #depends: Int32Array;
  /** The patterns that begin at a node, whether or not their nodes are still free: bits by place in the list. */
  readonly #patterns: Uint16Array;
  readonly #used: Uint8Array;
  readonly #placed: Uint8Array;
  readonly #gathered: Uint8Array;
  readonly #ordered: Tensor[] = [];
  /** Places of the nodes that come next. */
  #current: number[] = [];
  #first = 0;

  constructor(graph: TensorGraph, nodes: readonly Tensor[], held: Map<Tensor, Tensor[]>) {
    this.#graph = graph;
    this.#nodes = nodes;
    this.#held = held;
    const count = nodes.length;
    this.#ops = new Uint8Array(count);
    this.#empty = new Uint8Array(count);
    this.#places = new Int32Array(graph.count).fill(-1);
    this.#patterns = new Uint16Array(count);
    this.#used = new Uint8Array(count);
    this.#placed = new Uint8Array(count);
    this.#gathered = new Uint8Array(count);
    for (let place = 0; place < count; place += 1) {
      const node = nodes[place] ?? 0;
      const op = graph.op[node] ?? 0;
      this.#ops[place] = op;
      this.#empty[place] = op === OP.none || isViewOperation(op) ? 1 : 0;
      this.#places[node] = place;
    }
    this.#depends = dependencies({ graph, nodes, places: this.#places, empty: this.#empty });
    for (let place = 0; place < count; place += 1) this.#patterns[place] = this.#patternsAt(place);
  }

  order(): Tensor[] {
    while (this.#first < this.#nodes.length) {
      if (this.#keepPattern()) continue;
      this.#current = [this.#first];
      this.#gatherIndependent();
      if (this.#ops[this.#current.at(-1) ?? 0] !== OP.add) this.#gatherViews();
      for (const place of this.#current) this.#take(place);
      this.#skipUsed();
    }
    return this.#ordered;
  }

  #at(place: number): Tensor {
    return this.#nodes[place] ?? 0;
  }

  #take(place: number): void {
    this.#ordered.push(this.#at(place));
    this.#placed[place] = 1;
    this.#used[place] = 1;
  }

  #skipUsed(): void {
    while (this.#first < this.#nodes.length && this.#used[this.#first] === 1) this.#first += 1;
  }

  #patternsAt(start: number): number {
    let bits = 0;
    for (const place of PATTERNS_FROM[this.#ops[start] ?? 0] ?? []) {
      const pattern = PATTERNS[place] ?? [];
      if (start + pattern.length > this.#nodes.length) continue;
      let index = 1;
      while (index < pattern.length && this.#ops[start + index] === pattern[index]) index += 1;
      if (index === pattern.length) bits |= 1 << place;
    }
    return bits;
  }

  /** The first pattern that begins here and of which no node is used; -1: none. */
  #freePattern(start: number): number {
    const bits = this.#patterns[start] ?? 0;
    for (let place = 0; bits >> place !== 0; place += 1) {
      if ((bits & (1 << place)) === 0) continue;
      const length = PATTERNS[place]?.length ?? 0;
      let index = 0;
      while (index < length && this.#used[start + index] === 0) index += 1;
      if (index === length) return place;
    }
    return -1;
  }

  #keepPattern(): boolean {
    const start = this.#first;
    const place = this.#freePattern(start);
    if (place < 0) return false;
    const length = PATTERNS[place]?.length ?? 0;
    if (place < ROUTING_PATTERNS.length) this.#holdSources(length);
    for (let index = 0; index < length; index += 1) this.#take(start + index);
    this.#skipUsed();
    return true;
  }

  /** `add_pattern_alloc_deps`. */
  #holdSources(length: number): void {
    const graph = this.#graph;
    let last = this.#first + length - 1;
    if (last + 1 < this.#nodes.length && this.#ops[last + 1] === OP.scale) last += 1;
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
      if (this.#used[place] === 1 || this.#empty[place] === 1) continue;
      if (this.#patterns[place] !== 0 && this.#freePattern(place) >= 0) continue;
      if (!this.#isReady(place)) continue;
      this.#current.push(place);
      this.#pullFused(place);
    }
  }

  /** Nothing that is still to come is read, but for what is fused with the last of the nodes that come next. */
  #isReady(place: number): boolean {
    for (let bits = this.#openDependencies(place); bits !== 0; bits &= bits - 1) {
      const earlier = nearestOf(bits, place);
      if (this.#used[earlier] === 1) continue;
      if (earlier !== this.#current.at(-1) || !this.#fuses(earlier, place)) return false;
    }
    return true;
  }

  /** The dependencies of a node on what comes at the first unused one or behind it. */
  #openDependencies(place: number): number {
    return (this.#depends[place] ?? 0) & ((1 << (place - this.#first)) - 1);
  }

  #fuses(earlier: number, place: number): boolean {
    const before = this.#opOf(earlier);
    const op = this.#opOf(place);
    if (op === OP.mul && (before === OP.rmsNorm || before === OP.unary)) {
      for (let between = earlier + 1; between < place; between += 1) {
        if (this.#used[between] !== 1 && this.#empty[between] === 0) return false;
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
    const op = this.#opOf(place);
    const before = this.#opOf(place - 1);
    let writer = place;
    if (op === OP.mul && before === OP.rmsNorm) {
      const rope = this.#find(place, (each) => this.#opOf(each) === OP.rope && this.#ropes(each, place));
      if (rope !== null) {
        this.#pull(rope);
        writer = rope;
      }
    }
    const written = this.#opOf(writer);
    if (written === OP.rope || written === OP.rmsNorm) this.#pullWrite(writer);
    if (op === OP.addId && before === OP.mulMatId) this.#pullReader(place, OP.mul);
    if (op === OP.add && before === OP.mulMat) this.#pullReader(place, OP.add);
    if (op === OP.add && before === OP.ssmConv) {
      const active = this.#find(
        place,
        (each) => this.#opOf(each) === OP.unary && this.#sourceAt(each, 0) === this.#at(place),
      );
      if (active !== null) this.#pull(active);
    }
    if (op === OP.unary) this.#pullProduct(place);
  }

  #opOf(place: number): Operation {
    return this.#ops[place] ?? 0;
  }

  #isPlaced(tensor: Tensor): boolean {
    const place = this.#places[tensor] ?? -1;
    return place >= 0 && this.#placed[place] === 1;
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
        this.#opOf(each) === op &&
        this.#sourceAt(each, 0) === this.#at(place) &&
        (this.#isInput(other) || this.#isPlaced(other))
      );
    });
    if (reader !== null) this.#pull(reader);
  }

  #pullProduct(place: number): void {
    const node = this.#at(place);
    const product = this.#find(place, (each) => {
      if (this.#opOf(each) !== OP.mul) return false;
      const [left, right] = [this.#sourceAt(each, 0), this.#sourceAt(each, 1)];
      if (left !== node && right !== node) return false;
      const other = left === node ? right : left;
      return (this.#isInput(other) || this.#isPlaced(other)) && this.#multiplies(node, this.#at(each));
    });
    if (product !== null) this.#pull(product);
  }

  /** `ggml_vk_can_fuse_unary_mul`. */
  #multiplies(active: Tensor, product: Tensor): boolean {
    const graph = this.#graph;
    const kind = graph.unaryOf[active];
    if (kind === UNARY.other) return false;
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
      const op = this.#opOf(each);
      if (view === -1 && op === OP.view && this.#sourceAt(each, 0) === this.#at(writer)) {
        view = each;
      } else if (view !== -1 && op === OP.setRows && this.#sourceAt(each, 0) === this.#at(view)) {
        write = each;
        break;
      }
    }
    if (write === -1 || !this.#isOneUse(writer, view, write)) return;
    for (let each = writer + 1; each < write; each += 1) {
      if (this.#used[each] === 1 || each === view || this.#empty[each] === 1) continue;
      if (((this.#depends[write] ?? 0) & bitOf(write, each)) !== 0) return;
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
    for (const place of this.#current) this.#gathered[place] = 1;
    for (let place = this.#first + 1; place < end; place += 1) {
      if (this.#used[place] === 1 || this.#empty[place] === 0) continue;
      let bits = this.#openDependencies(place);
      for (; bits !== 0; bits &= bits - 1) {
        const earlier = nearestOf(bits, place);
        if (this.#used[earlier] === 0 && this.#gathered[earlier] === 0) break;
      }
      if (bits !== 0) continue;
      this.#current.push(place);
      this.#gathered[place] = 1;
    }
  }
}

/** The place of the nearest dependency of a node, that of the lowest bit. */
const nearestOf = (bits: number, place: number): number => place - 32 + Math.clz32(bits & -bits);
