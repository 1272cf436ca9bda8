import type { ModelShape } from '../../shape.ts';
import type { ModelTensor } from '../../tensors.ts';
import type { ComputeBackend } from '../compute-backends.ts';
import { CSA_RATIO, HCA_RATIO, windowCells } from '../kv-state.ts';
import { CELL_BLOCK, paddedCells, type ResolvedContext } from '../settings.ts';
import { layoutOf, placeBlocks, type Layout } from './layout.ts';
import { scheduleOnProcessor, scheduleOnVulkan } from './splits.ts';
import type { TensorGraph } from './tensor-graph.ts';

/** The plans of a model, by {@link planKey}. */
const PLANS = new WeakMap<readonly ModelTensor[], Map<string, ContextPlan>>();

/** The plan of a model for contexts like this one; the first one makes it. */
export function contextPlan(
  shape: ModelShape,
  tensors: readonly ModelTensor[],
  context: ResolvedContext,
  backend: ComputeBackend,
  build: (context: ResolvedContext) => TensorGraph,
): ContextPlan {
  let plans = PLANS.get(tensors);
  if (plans === undefined) {
    plans = new Map();
    PLANS.set(tensors, plans);
  }
  const key = planKey(shape, context, backend);
  let plan = plans.get(key);
  if (plan === undefined) {
    plan = new ContextPlan(backend, build);
    plans.set(key, plan);
  }
  return plan;
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
type Structure = readonly (Uint8Array | Int32Array)[];

/**
 * Contexts of a model that differ in their length alone have the same graph: the same tensors in the same order, of
 * which some grow with the length. They share one layout; the sizes of its blocks follow from those of the first two.
 */
export class ContextPlan {
  readonly #backend: ComputeBackend;
  readonly #build: (context: ResolvedContext) => TensorGraph;
  #first: { readonly measured: Measured; readonly structure: Structure; readonly layout: Layout } | null =
    null;
  #growth: Growth | null = null;
  /** Layouts by how many {@link Growth.limits} lie below. */
  readonly #layouts = new Map<number, Layout>();

  constructor(backend: ComputeBackend, build: (context: ResolvedContext) => TensorGraph) {
    this.#backend = backend;
    this.#build = build;
  }

  /** The bytes of the device's buffer and of the processor's. */
  bytes(context: ResolvedContext): number[] {
    const tokens = context.sequenceTokens;
    const first = this.#first;
    if (first !== null && first.measured.tokens === tokens) {
      return this.#place(first.layout, first.measured.sizes);
    }
    const growth = this.#growth;
    if (growth !== null) {
      const known = this.#layouts.get(reached(growth, tokens));
      if (known !== undefined) return this.#place(known, sizesAt(growth, tokens));
    }
    return this.#measure(context);
  }

  #measure(context: ResolvedContext): number[] {
    const graph = this.#build(context);
    const tokens = context.sequenceTokens;
    const sizes = Float64Array.from({ length: graph.count }, (_, tensor) => graph.bytes(tensor));
    const first = this.#first;
    if (first === null) {
      const structure = structureOf(graph);
      const layout = this.#layout(graph);
      this.#first = { measured: { tokens, sizes }, structure, layout };
      return this.#place(layout, sizes);
    }
    if (this.#growth === null && isSame(first.structure, structureOf(graph))) {
      const growth = growthBetween(first.measured, { tokens, sizes }, this.#backend.maxTensorBytes);
      this.#growth = growth;
      this.#layouts.set(reached(growth, first.measured.tokens), first.layout);
    }
    const growth = this.#growth;
    const before = growth === null ? undefined : this.#layouts.get(reached(growth, tokens));
    const layout = before ?? this.#layout(graph);
    if (growth !== null) this.#layouts.set(reached(growth, tokens), layout);
    return this.#place(layout, sizes);
  }

  #layout(graph: TensorGraph): Layout {
    const { isProcessor, maxTensorBytes } = this.#backend;
    return layoutOf(isProcessor ? scheduleOnProcessor(graph) : scheduleOnVulkan(graph, maxTensorBytes));
  }

  /** @param sizes - of all tensors. */
  #place(layout: Layout, sizes: Float64Array): number[] {
    const { device, host } = this.#backend;
    const blocks = layout.tensors.length;
    const own = new Float64Array(blocks);
    for (let block = 0; block < blocks; block += 1) own[block] = sizes[layout.tensors[block] ?? 0] ?? 0;
    return placeBlocks(layout, own, [device, host]);
  }
}

function structureOf(graph: TensorGraph): Structure {
  const { count } = graph;
  return [
    ...[graph.op, graph.type, graph.flags, graph.place, graph.unaryOf, graph.sourceCount].map((each) =>
      each.slice(0, count),
    ),
    graph.viewed.slice(0, count),
    graph.sources.slice(0, (graph.sourceStart[count - 1] ?? 0) + (graph.sourceCount[count - 1] ?? 0)),
    Int32Array.from(graph.nodes),
    Int32Array.from(graph.leafs),
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

function sizesAt({ from, slopes }: Growth, tokens: number): Float64Array {
  const sizes = new Float64Array(slopes.length);
  const more = tokens - from.tokens;
  for (let tensor = 0; tensor < sizes.length; tensor += 1) {
    sizes[tensor] = (from.sizes[tensor] ?? 0) + (slopes[tensor] ?? 0) * more;
  }
  return sizes;
}
