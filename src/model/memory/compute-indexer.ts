import type { ModelShape } from '../shape.ts';
import { FLOAT, VALUE_BYTES, type ComputeGraph } from './compute-graph.ts';
import type { NodeId } from './graph-allocator.ts';
import type { ResolvedContext } from './settings.ts';

/** The inputs of an indexer: its own mask, in F16 whatever the attention has, and its rows. */
export interface IndexerInputs {
  readonly mask: NodeId;
  readonly keyRows: NodeId;
  /** Zeros for the places of the chosen tokens, layer by layer: like inputs they are placed before the graph runs. */
  readonly zeros: Map<number, NodeId>;
}

/** `build_attn_inp_k_dsa_impl`, src/llama-graph.cpp. */
export function indexerInputs(graph: ComputeGraph, shape: ModelShape, cells: number): IndexerInputs {
  const size = Math.min(shape.indexer?.topK ?? 0, cells) * graph.tokens * FLOAT;
  const owners = (shape.indexer?.onLayers ?? []).flatMap((owns, layer) => (owns ? [layer] : []));
  return {
    zeros: new Map(owners.map((layer) => [layer, graph.kept(size)])),
    keyRows: graph.input(graph.tokens * VALUE_BYTES.index),
    mask: graph.input(cells * graph.tokens * VALUE_BYTES.half),
  };
}

/**
 * What the indexer of a layer scores tokens by, and the keys that it keeps: the queries are computed when they are
 * needed (src/models/deepseek32.cpp).
 * @returns the tokens that are chosen, to be called for after the layer's own queries and keys.
 */
export function indexedTokens(
  graph: ComputeGraph,
  shape: ModelShape,
  inputs: IndexerInputs,
  cells: number,
  normed: NodeId,
  compressedQuery: NodeId,
): () => NodeId {
  const { indexer } = shape;
  if (indexer === null) throw new RangeError(`${shape.id} has no indexer`);
  const { heads, headLength, topK } = indexer;
  const key = graph.row(headLength, [graph.row(headLength, [normed])]);
  const rotatedKey = graph.row(headLength, [graph.row(headLength, [key])]);
  graph.use([rotatedKey, inputs.keyRows]);
  return () => {
    const query = graph.row(heads * headLength, [compressedQuery]);
    const rotated = graph.row(heads * headLength, [query]);
    const turned = graph.row(heads * headLength, [rotated]);
    const weights = graph.row(heads, [graph.row(heads, [normed])]);
    const scores = graph.row(cells, [turned, weights, inputs.mask]);
    const chosen = graph.tensor(Math.min(topK, cells) * graph.tokens * VALUE_BYTES.integer, [scores]);
    return graph.tensor(Math.min(topK, cells) * graph.tokens * VALUE_BYTES.integer, [chosen]);
  };
}

/** A copy of the mask that hides all but the chosen tokens (`build_attn` for DSA, src/llama-graph.cpp). */
export function maskOfChosen(
  graph: ComputeGraph,
  context: ResolvedContext,
  mask: NodeId,
  cells: number,
  zeros: readonly NodeId[],
  chosen: NodeId,
): NodeId {
  const size = cells * graph.tokens * (context.flashAttention ? VALUE_BYTES.half : FLOAT);
  const hidden = graph.tensor(size, [mask]);
  graph.use([...zeros, chosen, hidden]);
  return graph.tensor(size, [hidden, mask]);
}

/** MiniMax M3 chooses blocks of tokens with flash attention alone, and for streams that are apart. */
export const choosesBlocks = (shape: ModelShape, context: ResolvedContext): boolean =>
  shape.indexer?.blocks !== undefined &&
  shape.indexer.blocks !== null &&
  context.flashAttention &&
  (context.sequences === 1 || !context.unifiedCache);

/**
 * Attention to the chosen blocks, one stream after the other: the mask of each head of the indexer is spread over all
 * tokens and turned (src/models/minimax-m3.cpp). These are the largest tensors of any architecture.
 * @param width - values of the result for a token.
 */
export function attendToBlocks(
  graph: ComputeGraph,
  shape: ModelShape,
  context: ResolvedContext,
  floatMask: NodeId,
  cells: number,
  normed: NodeId,
  query: NodeId,
  width: number,
): NodeId {
  const { indexer } = shape;
  if (indexer === null) throw new RangeError(`${shape.id} has no indexer`);
  const length = indexer.heads * indexer.headLength;
  const turned = graph.row(length, [graph.row(length, [normed])]);
  const tokens = graph.tokens / context.streams;
  const values = tokens * indexer.heads * cells;
  let result: NodeId | null = null;
  for (let stream = 0; stream < context.streams; stream += 1) {
    const spread = graph.tensor(values * FLOAT, [turned]);
    const across = graph.inPlace([graph.tensor(values * FLOAT, [spread])], [floatMask]);
    const mask = graph.tensor(values * VALUE_BYTES.half, [across]);
    const part = graph.tensor(width * tokens * FLOAT, [query, mask]);
    result = result === null ? part : graph.tensor(width * tokens * (stream + 1) * FLOAT, [result, part]);
  }
  if (result === null) throw new RangeError('a context without streams');
  return result;
}
