import { bytesPerWeight } from '../ggml-types.ts';
import { ofLayer, type CompressedAttentionShape, type ModelShape } from '../shape.ts';
import { FLOAT, VALUE_BYTES, type ComputeGraph } from './compute-graph.ts';
import type { LayerScope } from './compute-layers.ts';
import type { NodeId } from './graph-allocator.ts';
import { CSA_RATIO, HCA_RATIO, windowCells } from './kv-state.ts';
import { paddedCells, type ResolvedContext } from './settings.ts';

/** What all layers of DeepSeek V4 share: the masks of its three caches, and what its indexers need. */
export interface CompressedInputs {
  readonly positions: NodeId;
  readonly keyRows: NodeId;
  readonly windowMask: NodeId;
  readonly windowCells: number;
  /** By the tokens that a row stands for. */
  readonly compressed: ReadonlyMap<number, { readonly mask: NodeId; readonly rows: number }>;
  readonly indexerMask: NodeId;
  /** Zeros for the places of the chosen rows, layer by layer: they are placed before the graph runs. */
  readonly zeros: ReadonlyMap<number, NodeId>;
}

/** Values of the masks of attention: F16 for flash attention. */
const maskBytes = (context: ResolvedContext): number => (context.flashAttention ? VALUE_BYTES.half : FLOAT);

/** Rows of a cache that keeps one for `ratio` tokens, for a sequence. */
const rowsOf = (context: ResolvedContext, ratio: number): number =>
  paddedCells(Math.ceil(context.sequenceTokens / ratio));

/** The inputs of `build_arch_graph`, src/models/deepseek4.cpp; every sequence has caches of its own. */
export function compressedInputs(
  graph: ComputeGraph,
  shape: ModelShape,
  context: ResolvedContext,
): CompressedInputs {
  const { tokens } = graph;
  const size = maskBytes(context);
  const cells = windowCells(shape, { ...context, streams: context.sequences });
  const mask = (rows: number): NodeId => graph.input(rows * tokens * size);
  const windowMask = mask(cells);
  const positions = graph.input(tokens * VALUE_BYTES.integer);
  const keyRows = graph.input(tokens * VALUE_BYTES.index);
  const chosen = rowsOf(context, CSA_RATIO);
  const indexed = compressedOf(shape).ratios.flatMap((ratio, layer) => (ratio === CSA_RATIO ? [layer] : []));
  const zeroBytes = Math.min(shape.indexer?.topK ?? 0, chosen) * tokens * size;
  return {
    positions,
    keyRows,
    windowMask,
    windowCells: cells,
    zeros: new Map(indexed.map((layer) => [layer, graph.kept(zeroBytes)])),
    indexerMask: graph.input(chosen * tokens * VALUE_BYTES.half),
    compressed: new Map(
      [CSA_RATIO, HCA_RATIO].map((ratio) => {
        const rows = rowsOf(context, ratio);
        return [ratio, { mask: mask(rows), rows }];
      }),
    ),
  };
}

function compressedOf(shape: ModelShape): CompressedAttentionShape {
  if (shape.compressedAttention === null) throw new RangeError(`${shape.id} has no compressed attention`);
  return shape.compressedAttention;
}

/** The copies of the residual stream that DeepSeek V4 mixes (`build_hc_pre`, `build_hc_post`). */
export class StreamCopies {
  readonly #graph: ComputeGraph;
  readonly #copies: number;
  readonly #width: number;

  constructor(graph: ComputeGraph, shape: ModelShape) {
    this.#graph = graph;
    this.#copies = compressedOf(shape).hyperConnections;
    this.#width = shape.embeddingLength;
  }

  start(embedded: NodeId): NodeId {
    return this.#graph.row(this.#copies * this.#width, [embedded]);
  }

  /** One stream, a mixture of the copies, and the factors by which they are mixed. */
  read(copies: NodeId): { readonly stream: NodeId; readonly factors: NodeId } {
    const graph = this.#graph;
    const normed = graph.row(this.#copies * this.#width, [copies]);
    const factors = graph.row((2 + this.#copies) * this.#copies, [normed]);
    const before = graph.row(this.#copies, [factors]);
    return { stream: graph.row(this.#width, [copies, before]), factors };
  }

  write(copies: NodeId, update: NodeId, factors: NodeId): NodeId {
    return this.#graph.row(this.#copies * this.#width, [update, copies, factors]);
  }
}

/**
 * Attention of a layer of DeepSeek V4: to the last tokens, and to rows that stand for 4 or 128 tokens, of which indexers
 * choose the former (src/models/deepseek4.cpp).
 */
export function compressedAttention(
  scope: LayerScope,
  layer: number,
  normed: NodeId,
  inputs: CompressedInputs,
): NodeId {
  const { graph, shape, context } = scope;
  const { ratios, queryRank, outputGroups, outputRank } = compressedOf(shape);
  const ratio = ofLayer(ratios, layer);
  if (ratio > 0) compress(scope, ratio, normed);
  const width = ofLayer(shape.heads, layer) * shape.keyHeadLength;
  const lowRank = graph.inPlace([graph.row(queryRank, [normed])]);
  // Normed as heads, which are a view.
  const query = graph.inPlace([graph.row(width, [graph.row(width, [lowRank])])], [inputs.positions]);
  const keyValue = graph.inPlace([graph.row(shape.keyHeadLength, [normed])]);
  const key = graph.row(shape.keyHeadLength, [keyValue, inputs.positions]);
  graph.use([key, inputs.keyRows]);
  graph.expand();
  const others = inputs.compressed.get(ratio) ?? null;
  const cells = inputs.windowCells + (others?.rows ?? 0);
  const keyBytes = cells * context.sequences * shape.keyHeadLength * bytesPerWeight(context.cacheTypeK);
  const keys = others === null ? [] : [graph.tensor(keyBytes, [])];
  const maskOf = (): NodeId => {
    if (others === null) return inputs.windowMask;
    const zeros = inputs.zeros.get(layer);
    const mask = zeros === undefined ? others.mask : chooseRows(scope, inputs, lowRank, normed, zeros);
    return graph.tensor(cells * graph.tokens * maskBytes(context), [inputs.windowMask, mask]);
  };
  let result: NodeId;
  if (context.flashAttention) {
    result = graph.row(width, [query, ...keys, maskOf()]);
  } else {
    // Values are the keys, which no product can read transposed (`v_cont`).
    const values = graph.tensor(keyBytes, keys);
    const scores = graph.row(cells * ofLayer(shape.heads, layer), [query, ...keys]);
    result = graph.row(width, [graph.row(width, [values, graph.inPlace([scores], [maskOf()])])]);
  }
  graph.expand();
  const turned = graph.row(width, [result, inputs.positions]);
  const narrow = graph.row(outputGroups * outputRank, [turned]);
  return graph.row(shape.embeddingLength, [graph.row(outputGroups * outputRank, [narrow])]);
}

/** New rows of the caches: of the attention, and where rows overlap of the indexer as well. */
function compress({ graph, shape }: LayerScope, ratio: number, normed: NodeId): void {
  const overlaps = ratio === CSA_RATIO;
  const lengths = [shape.keyHeadLength, ...(overlaps ? [shape.indexer?.headLength ?? 0] : [])];
  for (const length of lengths) {
    const width = overlaps ? 2 * length : length;
    const fold = (from: NodeId): NodeId => {
      const joined = graph.row(width, [from]);
      if (!overlaps) return graph.row(width, [graph.row(width, [joined])]);
      const gathered = graph.row(2 * width, [graph.row(width, [joined])]);
      const halves = [graph.row(length, [gathered]), graph.row(length, [gathered])];
      return graph.row(width, [graph.row(width, halves)]);
    };
    const state = fold(graph.row(width, [normed]));
    const score = graph.inPlace([fold(graph.inPlace([graph.row(width, [normed])]))]);
    graph.use([graph.inPlace([state], [score])]);
    graph.expand();
  }
}

/** A mask that hides all rows but those that the indexer chooses. */
function chooseRows(
  { graph, shape, context }: LayerScope,
  inputs: CompressedInputs,
  lowRank: NodeId,
  normed: NodeId,
  zeros: NodeId,
): NodeId {
  const { indexer } = shape;
  const others = inputs.compressed.get(CSA_RATIO);
  if (indexer === null || others === undefined) throw new RangeError(`${shape.id} has no indexer`);
  const width = indexer.heads * indexer.headLength;
  const rotated = graph.row(width, [graph.row(width, [lowRank]), inputs.positions]);
  const turned = graph.row(width, [rotated]);
  const weights = graph.inPlace([graph.row(indexer.heads, [normed])]);
  const scores = graph.row(others.rows, [turned, weights, inputs.indexerMask]);
  const chosenBytes = Math.min(indexer.topK, others.rows) * graph.tokens * VALUE_BYTES.integer;
  const chosen = graph.tensor(chosenBytes, [graph.tensor(chosenBytes, [scores])]);
  const hidden = graph.tensor(others.rows * graph.tokens * maskBytes(context), [others.mask]);
  graph.use([zeros, chosen, hidden]);
  return graph.tensor(others.rows * graph.tokens * maskBytes(context), [hidden, others.mask]);
}
