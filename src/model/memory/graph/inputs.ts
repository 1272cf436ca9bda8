import { isQuantised } from '../settings.ts';
import { keepsKeysOnly, widestValueRow, windowCells, type KvCache } from '../kv-state.ts';
import type { GraphScope } from './graph-scope.ts';
import { TYPE, type TypeId } from './operations.ts';
import type { Tensor } from './tensor-store.ts';

/** The inputs of one KV cache: which cells are seen, and where new rows go. */
export interface CacheInputs {
  readonly mask: Tensor;
  readonly keyRows: Tensor;
  /** -1: the keys are the values. */
  readonly valueRows: Tensor;
  /** Matrices that rotate keys and values before they are quantised; -1: they are not. */
  readonly keyRotation: Tensor;
  readonly valueRotation: Tensor;
  readonly cells: number;
}

/**
 * `build_inp_embd`, src/llama-graph.cpp: the embeddings of the tokens, computed before anything else.
 * @param ids - the input of the tokens' numbers, where something else reads it too.
 */
export function embeddings(
  scope: GraphScope,
  isScaled = false,
  ids: Tensor = scope.graph.input(TYPE.i32, scope.tokens),
): Tensor {
  const { graph, shape, tokens } = scope;
  const table = scope.weight('token_embd.weight');
  // Embeddings that a caller might give instead of tokens are an input as well.
  const given = graph.input(TYPE.f32, shape.embeddingLength, tokens);
  const rows = graph.getRows(table, ids);
  graph.expand(rows);
  graph.expand(given);
  const result = isScaled ? graph.scale(rows) : rows;
  graph.expand(result);
  return result;
}

/** `build_inp_pos`. @param each - numbers of a token's position: several where it has dimensions. */
export const positions = ({ graph, tokens }: GraphScope, each = 1): Tensor =>
  graph.input(TYPE.i32, tokens * each);

/** `build_inp_out_ids`: the tokens whose logits are wanted, here all. */
export const outputRows = ({ graph, outputs }: GraphScope): Tensor => graph.input(TYPE.i32, outputs);

/** `build_attn_inp_kv_impl`, and `build_attn_inp_k_impl` where keys alone are kept. */
export function cacheInputs(scope: GraphScope, kind: KvCache['kind'] = 'attention'): CacheInputs {
  const { graph, shape, context, tokens } = scope;
  const { flashAttention, streams, cacheTypeK, cacheTypeV, sequenceTokens } = context;
  const cells = kind === 'window' ? windowCells(shape, context) : sequenceTokens;
  const values = flashAttention ? 1 : widestValueRow(shape);
  const keysOnly = keepsKeysOnly(shape);
  const window = kind === 'window' ? shape.slidingWindow : null;
  const keyLength = window?.keyHeadLength ?? shape.keyHeadLength;
  const rotates = (quantised: boolean, length: number): boolean =>
    !keysOnly && quantised && length % ROTATED_MULTIPLE === 0;
  return {
    keyRows: graph.input(TYPE.i64, tokens),
    valueRows: keysOnly ? -1 : graph.input(TYPE.i64, tokens * values),
    mask: maskInput(scope, cells, streams),
    keyRotation: rotates(isQuantised(cacheTypeK), shape.keyHeadLength)
      ? rotationInput(scope, largestRotation(keyLength))
      : -1,
    valueRotation: rotates(isQuantised(cacheTypeV), shape.valueHeadLength)
      ? rotationInput(scope, ROTATED_MULTIPLE)
      : -1,
    cells,
  };
}

/** `build_attn_inp_kq_mask`: F16 for flash attention. */
export function maskInput({ graph, context, tokens }: GraphScope, cells: number, streams: number): Tensor {
  const type: TypeId = context.flashAttention ? TYPE.f16 : TYPE.f32;
  return graph.input(type, cells, tokens / streams, 1, streams);
}

/** Only heads that are multiples of this are rotated, and values by matrices of this size (src/llama-kv-cache.cpp). */
const ROTATED_MULTIPLE = 64;

export const rotationInput = ({ graph }: GraphScope, size: number): Tensor =>
  graph.input(TYPE.f32, size, size);

/** `build_input_k_rot`: the largest power of two that divides a head. */
export function largestRotation(length: number): number {
  let size = ROTATED_MULTIPLE;
  do size *= 2;
  while (length % size === 0);
  return size / 2;
}
