import { ofLayer, type ModelShape } from '../shape.ts';
import { FLOAT, VALUE_BYTES } from './compute-graph.ts';
import { CSA_RATIO, windowCells } from './kv-state.ts';
import { paddedCells, type ResolvedContext } from './settings.ts';

/** Copies of the queries of all heads that are alive where they meet the keys. */
const QUERY_COPIES = 3;
/** Masks that every choice of rows passes: that of the cache, the indexer's, the hidden one and the sum. */
const MASKS = 4;
/** Masks that are inputs, and so lie below everything else until the last layer has read them. */
const INPUT_MASKS = 4;

/**
 * The compute buffer of DeepSeek V4, whose graph (src/models/deepseek4.cpp) is not laid out tensor by tensor: the
 * larger of the moment when its widest layers, which keep a row for four tokens, attend to their rows, and of that when
 * the logits are made. docs/memory.md shows how near it comes to the engine.
 */
export function compressedComputeBytes(shape: ModelShape, context: ResolvedContext): number {
  const { flashAttention, streams, sequences } = context;
  const tokens = Math.min(context.contextTokens, context.ubatchTokens);
  const rows = paddedCells(Math.ceil(context.sequenceTokens / CSA_RATIO));
  const scores = rows * tokens * FLOAT;
  const masks = (count: number, size: number): number => count * rows * tokens * size;
  // The keys of the window and the compressed ones are joined for the product.
  const joined = rows * shape.keyHeadLength * VALUE_BYTES.half * Math.max(streams, sequences);
  const stream = shape.embeddingLength * tokens * FLOAT;
  const logits = shape.vocabularySize * tokens * FLOAT + 2 * stream;
  if (flashAttention) {
    return Math.max(
      logits + masks(INPUT_MASKS, VALUE_BYTES.half),
      scores + masks(MASKS, VALUE_BYTES.half) + joined,
    );
  }
  const heads = ofLayer(shape.heads, 0);
  const window = windowCells(shape, { ...context, streams: sequences });
  const products = heads * (rows + window) * tokens * FLOAT;
  const queries = QUERY_COPIES * heads * shape.keyHeadLength * tokens * FLOAT;
  const hyper = (shape.compressedAttention?.hyperConnections ?? 1) * stream;
  return Math.max(logits, products + queries + hyper + scores + masks(MASKS, FLOAT) + joined);
}
