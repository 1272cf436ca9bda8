import type { ModelShape } from '../../shape.ts';
import { withoutTypes, type ModelTensor } from '../../tensors.ts';
import type { ComputeBackend } from '../compute-backends.ts';
import { statesOfSequence } from '../drafting.ts';
import { CSA_RATIO, HCA_RATIO, windowCells } from '../kv-state.ts';
import { representativeLayers, type LayerCut } from '../representative-layers.ts';
import { CELL_BLOCK, paddedCells, type ResolvedContext } from '../settings.ts';
import { READS_TABLE } from '../weights.ts';
import { GraphScope, type Division, type GraphPlacement } from './graph-scope.ts';
import { layoutOf, placeBlocks, PlacedBlocks, type Layout } from './layout.ts';
import { scheduleOnProcessor, scheduleOnVulkan } from './splits.ts';
import type { TensorGraph } from './tensor-graph.ts';
import type { Tensor } from './tensor-store.ts';
import { indexWeights, type WeightIndex } from './weight-index.ts';

/**
 * After how many periods of layers memory is taken to repeat itself, until it is seen to do so at each cut: most graphs
 * do after one, many take turns between two places; at last all layers are laid out.
 */
const FOLDS = [1, 2, Number.POSITIVE_INFINITY];

/** Builds the graph of some layers of a model. */
export type BuildGraph = (scope: GraphScope, layers: readonly number[]) => void;

/** The plans of a model in a mix or in several, by {@link planKey}. */
const PLANS = new WeakMap<object, Map<string, ContextPlans>>();

/** The plans of a model for contexts like this one; the first one makes them. */
export function plansFor(
  shape: ModelShape,
  tensors: readonly ModelTensor[],
  context: ResolvedContext,
  backend: ComputeBackend,
  build: BuildGraph,
  placement: GraphPlacement,
): ContextPlans {
  const weights = indexWeights(tensors);
  const owner = isSameInEveryMix(shape, weights, backend, placement) ? withoutTypes(tensors) : tensors;
  let plans = PLANS.get(owner);
  if (plans === undefined) {
    plans = new Map();
    PLANS.set(owner, plans);
  }
  const key = `${planKey(shape, context, backend)} ${placementKey(placement)}`;
  let found = plans.get(key);
  if (found === undefined) {
    found = new ContextPlans(shape, weights, backend, build, placement);
    plans.set(key, found);
  }
  return found;
}

/**
 * Whether the types of weights change nothing. Operations have types of their own; what takes that of a weight is its
 * copy on the other backend, and there are none of weights that lie where they are read. Those that are too large for
 * the device do not: mixes in which there are some have plans of their own.
 */
function isSameInEveryMix(
  { architecture }: ModelShape,
  { largestBytes }: WeightIndex,
  { maxTensorBytes }: ComputeBackend,
  { layers, expertLayers, head, devices }: GraphPlacement,
): boolean {
  const isWhole = layers === 0 && expertLayers === 0 && !head && devices.count === 1;
  return isWhole && largestBytes <= maxTensorBytes && !READS_TABLE.has(architecture);
}

/** Plans with ever more layers. */
class ContextPlans {
  readonly #shape: ModelShape;
  readonly #weights: WeightIndex;
  readonly #backend: ComputeBackend;
  readonly #build: BuildGraph;
  readonly #placement: GraphPlacement;
  /** By the places of {@link FOLDS}. */
  readonly #plans: ContextPlan[] = [];
  /** The first of them that has been enough. */
  #enough = 0;

  constructor(
    shape: ModelShape,
    weights: WeightIndex,
    backend: ComputeBackend,
    build: BuildGraph,
    placement: GraphPlacement,
  ) {
    this.#placement = placement;
    this.#shape = shape;
    this.#weights = weights;
    this.#backend = backend;
    this.#build = build;
  }

  /** The bytes of each device's buffer and of the processor's. */
  bytes(context: ResolvedContext): readonly number[] {
    for (let place = this.#enough; place < FOLDS.length; place += 1) {
      const { bytes, repeats } = this.#plan(place).bytes(context);
      if (!repeats) continue;
      this.#enough = place;
      return bytes;
    }
    throw new RangeError(`the graph of ${this.#shape.id} was not laid out`);
  }

  #plan(place: number): ContextPlan {
    const before = this.#plans[place];
    if (before !== undefined) return before;
    const { maxTensorBytes } = this.#backend;
    const weights = this.#weights;
    const placement = this.#placement;
    const { layers: kept, expertLayers, devices } = placement;
    const { layers, cuts } = representativeLayers(
      this.#shape,
      FOLDS[place] ?? Number.POSITIVE_INFINITY,
      (layer) =>
        `${weights.largeOnes(layer, maxTensorBytes)} ${layer < kept} ${layer < expertLayers} ${devices.ofLayer[layer] ?? 0}`,
    );
    const plan = new ContextPlan(this.#backend, devices, cuts, (each) => {
      const scope = new GraphScope(this.#shape, each, weights, maxTensorBytes, placement);
      this.#build(scope, layers);
      return { graph: scope.graph, starts: layers.map((layer) => scope.layerStarts[layer] ?? 0) };
    });
    this.#plans[place] = plan;
    return plan;
  }
}

function placementKey({ layers, expertLayers, head, devices }: GraphPlacement): string {
  const { ofLayer, pipelined } = devices;
  return `${layers} ${expertLayers} ${head} ${devices.count} ${pipelined} ${ofLayer.join(',')}`;
}

/** All that shapes a graph beside the length of the context, and what does not grow with it in proportion. */
function planKey(shape: ModelShape, context: ResolvedContext, backend: ComputeBackend): string {
  const { sequenceTokens, sequences, streams } = context;
  const windows = [streams, sequences].map((each) => windowCells(shape, { ...context, streams: each }));
  const rows = compressedRows(shape, sequenceTokens);
  const chosen = Math.min(shape.indexer?.topK ?? 0, rows.indexed);
  return [
    shape.id,
    backend.isProcessor,
    backend.maxTensorBytes,
    backend.device.alignment,
    backend.host.alignment,
    sequences,
    streams,
    context.unifiedCache,
    Math.min(context.contextTokens, context.ubatchTokens),
    context.cacheTypeK,
    context.cacheTypeV,
    context.flashAttention,
    statesOfSequence(shape, context),
    ...windows,
    chosen,
    rows.key,
  ].join(' ');
}

/** Rows that stand for several tokens come in blocks: they grow in proportion from one whole block to the next. */
function compressedRows(
  { compressedAttention }: ModelShape,
  tokens: number,
): { readonly indexed: number; readonly key: string } {
  if (compressedAttention === null) return { indexed: tokens, key: '' };
  const rows = (ratio: number): number => paddedCells(Math.ceil(tokens / ratio));
  const key = [CSA_RATIO, HCA_RATIO].map((ratio) =>
    tokens % (ratio * CELL_BLOCK) === 0 ? 'whole' : rows(ratio),
  );
  return { indexed: rows(CSA_RATIO), key: key.join(' ') };
}

/** The sizes of all tensors of a graph at a length of the context. */
interface Measured {
  readonly tokens: number;
  readonly sizes: Float64Array;
}

/** How the sizes of all tensors grow with the length of the context. */
interface Growth {
  readonly from: Measured;
  /** Bytes for each token of a sequence. */
  readonly slopes: Float64Array;
  /** The lengths from which on another tensor is too large for the device, in their order. */
  readonly limits: Float64Array;
}

/** A graph without its sizes. */
type Structure = readonly (Uint8Array | Int32Array | readonly number[])[];

/** A graph, and the first tensor of each of its layers. */
interface BuiltGraph {
  readonly graph: TensorGraph;
  readonly starts: readonly Tensor[];
}

/** A layout, and the blocks of the layers around its cuts. */
interface PlannedLayout {
  readonly layout: Layout;
  readonly placed: PlacedBlocks;
  /** By cut: the blocks of the two periods before it and of the one behind it, which have to lie alike. */
  readonly around: readonly (readonly Int32Array[])[];
}

interface ContextBytes {
  /** Of each device's buffer and of the processor's. */
  readonly bytes: readonly number[];
  /** Whether the layers that were left out repeat those around them: then the bytes are those of all layers. */
  readonly repeats: boolean;
}

/**
 * Contexts of a model that differ in their length alone have the same graph: the same tensors in the same order, of
 * which some grow with the length. They share one layout; the sizes of its blocks follow from those of the first two.
 */
class ContextPlan {
  readonly #backend: ComputeBackend;
  readonly #devices: Division;
  readonly #cuts: readonly LayerCut[];
  readonly #build: (context: ResolvedContext) => BuiltGraph;
  #first: {
    readonly measured: Measured;
    readonly structure: Structure;
    readonly layout: PlannedLayout;
  } | null = null;
  #growth: Growth | null = null;
  /** Layouts by how many {@link Growth.limits} lie below. */
  readonly #layouts = new Map<number, PlannedLayout>();

  constructor(
    backend: ComputeBackend,
    devices: Division,
    cuts: readonly LayerCut[],
    build: (context: ResolvedContext) => BuiltGraph,
  ) {
    this.#backend = backend;
    this.#devices = devices;
    this.#cuts = cuts;
    this.#build = build;
  }

  bytes(context: ResolvedContext): ContextBytes {
    const tokens = context.sequenceTokens;
    const first = this.#first;
    if (first !== null && first.measured.tokens === tokens) {
      return this.#place(first.layout, first.measured.sizes);
    }
    const growth = this.#growth;
    if (growth !== null) {
      const known = this.#layouts.get(reached(growth, tokens));
      const { from } = growth;
      if (known !== undefined) return this.#place(known, from.sizes, growth, tokens - from.tokens);
    }
    return this.#measure(context);
  }

  #measure(context: ResolvedContext): ContextBytes {
    const built = this.#build(context);
    const result = this.#learn(built, context);
    built.graph.release();
    return result;
  }

  #learn(built: BuiltGraph, context: ResolvedContext): ContextBytes {
    const { graph } = built;
    const tokens = context.sequenceTokens;
    const sizes = new Float64Array(graph.count);
    for (let tensor = 0; tensor < sizes.length; tensor += 1) sizes[tensor] = graph.bytes(tensor);
    const first = this.#first;
    if (first === null) {
      const structure = structureOf(graph).map((each) => each.slice());
      const layout = this.#layout(built);
      this.#first = { measured: { tokens, sizes }, structure, layout };
      return this.#place(layout, sizes);
    }
    if (this.#growth === null && isSame(first.structure, structureOf(graph))) {
      const learnt = growthBetween(first.measured, { tokens, sizes }, this.#backend.maxTensorBytes);
      this.#growth = learnt;
      this.#layouts.set(reached(learnt, first.measured.tokens), first.layout);
    }
    const growth = this.#growth;
    const before = growth === null ? undefined : this.#layouts.get(reached(growth, tokens));
    const layout = before ?? this.#layout(built);
    if (growth !== null) this.#layouts.set(reached(growth, tokens), layout);
    return this.#place(layout, sizes);
  }

  #layout({ graph, starts }: BuiltGraph): PlannedLayout {
    const { isProcessor, maxTensorBytes } = this.#backend;
    const layout = layoutOf(
      isProcessor ? scheduleOnProcessor(graph) : scheduleOnVulkan(graph, maxTensorBytes, this.#devices),
    );
    const blocksOf = (first: number, period: number): Int32Array => {
      const from = starts[first] ?? 0;
      const to = starts[first + period] ?? Number.POSITIVE_INFINITY;
      const blocks: number[] = [];
      layout.tensors.forEach((tensor, block) => {
        if (tensor >= from && tensor < to) blocks.push(block);
      });
      return Int32Array.from(blocks);
    };
    const around = this.#cuts.map(({ at, period }) =>
      [at - 2 * period, at - period, at].map((first) => blocksOf(first, period)),
    );
    return { layout, placed: new PlacedBlocks(layout), around };
  }

  /** @param growth - of the sizes, for a context that is longer by so many tokens. */
  #place(planned: PlannedLayout, all: Float64Array, growth: Growth | null = null, more = 0): ContextBytes {
    const { layout, placed, around } = planned;
    const { tensors } = layout;
    const { sizes } = placed;
    for (let block = 0; block < sizes.length; block += 1) {
      const tensor = tensors[block] ?? 0;
      const size = all[tensor] ?? 0;
      sizes[block] = growth === null ? size : size + (growth.slopes[tensor] ?? 0) * more;
    }
    const { device, host } = this.#backend;
    const limits = [...Array.from({ length: this.#devices.count }, () => device), host];
    const bytes = placeBlocks(layout, placed, limits);
    return { bytes, repeats: around.every((periods) => liesAlike(layout, placed, periods)) };
  }
}

/** Whether the blocks of each period are as large as those of the first and lie at the same places. */
function liesAlike(
  { buffers }: Layout,
  { sizes, chunks, offsets }: PlacedBlocks,
  [first = new Int32Array(), ...others]: readonly Int32Array[],
): boolean {
  return others.every((period) => {
    if (period.length !== first.length) return false;
    for (let index = 0; index < first.length; index += 1) {
      const a = first[index] ?? 0;
      const b = period[index] ?? 0;
      if (sizes[a] !== sizes[b] || offsets[a] !== offsets[b]) return false;
      if (chunks[a] !== chunks[b] || buffers[a] !== buffers[b]) return false;
    }
    return true;
  });
}

/** What a graph is now: the arrays are the graph's own. */
function structureOf(graph: TensorGraph): Structure {
  const { count } = graph;
  const { op, type, flags, place, unaryOf, sourceCount, viewed, sources, sourceStart, nodes, leafs } = graph;
  const end = (sourceStart[count - 1] ?? 0) + (sourceCount[count - 1] ?? 0);
  return [
    ...[op, type, flags, place, unaryOf, sourceCount, viewed].map((each) => each.subarray(0, count)),
    sources.subarray(0, end),
    nodes,
    leafs,
  ];
}

function isSame(a: Structure, b: Structure): boolean {
  return a.every((ours, index) => {
    const theirs = b[index];
    if (theirs === undefined || theirs.length !== ours.length) return false;
    for (let at = 0; at < ours.length; at += 1) if (ours[at] !== theirs[at]) return false;
    return true;
  });
}

function growthBetween(from: Measured, to: Measured, maxTensorBytes: number): Growth {
  const slopes = new Float64Array(from.sizes.length);
  const limits = new Set<number>();
  for (let tensor = 0; tensor < slopes.length; tensor += 1) {
    const size = from.sizes[tensor] ?? 0;
    const slope = ((to.sizes[tensor] ?? 0) - size) / (to.tokens - from.tokens);
    if (slope === 0) continue;
    slopes[tensor] = slope;
    limits.add(from.tokens + (maxTensorBytes - size) / slope);
  }
  return { from, slopes, limits: Float64Array.from(limits).sort() };
}

/** How many tensors are too large for the device. */
function reached({ limits }: Growth, tokens: number): number {
  let count = 0;
  while (count < limits.length && (limits[count] ?? 0) < tokens) count += 1;
  return count;
}
