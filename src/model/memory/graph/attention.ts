import { ofLayer } from '../../shape.ts';
import { isWindowed } from '../kv-state.ts';
import type { GraphScope, LayerCache } from './graph-scope.ts';
import type { CacheInputs } from './inputs.ts';
import type { Tensor } from './tensor-store.ts';
import { rowSize, TYPE, UNARY } from './operations.ts';
import { isContiguous } from './vulkan-support.ts';

/** Queries, keys and values of all heads: length of a head, heads, tokens. */
export interface Heads {
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
}

/** Lengths of a layer's heads. */
export interface HeadLengths {
  readonly heads: number;
  readonly kvHeads: number;
  readonly key: number;
  readonly value: number;
}

export function headLengths({ shape }: GraphScope, layer: number): HeadLengths {
  const window = isWindowed(shape, layer) ? shape.slidingWindow : null;
  return {
    heads: ofLayer(shape.heads, layer),
    kvHeads: ofLayer(shape.kvHeads, layer),
    key: window?.keyHeadLength ?? shape.keyHeadLength,
    value: window?.valueHeadLength ?? shape.valueHeadLength,
  };
}

/**
 * `build_qkv`, src/llama-graph.cpp.
 * @param flat - called with each of queries and keys before they are divided into heads.
 */
export function queryKeyValue(scope: GraphScope, layer: number, normed: Tensor): Heads {
  const { graph, tokens } = scope;
  const { heads, kvHeads, key, value } = headLengths(scope, layer);
  const fused = scope.of(layer, 'attn_qkv.weight');
  if (fused >= 0) {
    const rows = scope.biased(layer, 'attn_qkv', graph.mulMat(fused, normed));
    const stride = graph.nb(rows, 1);
    const part = (length: number, count: number): Tensor =>
      graph.view3d(rows, length, count, tokens, rowSize(TYPE.f32, length), stride);
    return { query: part(key, heads), key: part(key, kvHeads), value: part(value, kvHeads) };
  }
  const part = (name: string, length: number, count: number): Tensor =>
    graph.reshape(scope.project(layer, name, normed), length, count, tokens);
  return {
    query: part('attn_q', key, heads),
    key: part('attn_k', key, kvHeads),
    value: part('attn_v', value, kvHeads),
  };
}

/** `llama_mul_mat_hadamard`, src/llama-impl.h. */
export function rotate({ graph }: GraphScope, a: Tensor, by: Tensor): Tensor {
  const size = graph.ne(by, 0);
  const rows = graph.elements(a) / size;
  const flat = isContiguous(graph, a) ? graph.reshape(a, size, rows) : graph.cont2d(a, size, rows);
  return graph.reshape(
    graph.mulMat(by, flat),
    graph.ne(a, 0),
    graph.ne(a, 1),
    graph.ne(a, 2),
    graph.ne(a, 3),
  );
}

/** `cpy_k`, src/llama-kv-cache.cpp. */
export function writeKeys(
  { graph }: GraphScope,
  { key, cells, streams }: LayerCache,
  rows: Tensor,
  keys: Tensor,
): Tensor {
  const length = graph.ne(keys, 0) * graph.ne(keys, 1);
  const flat = graph.view2d(keys, length, graph.ne(keys, 2), graph.nb(keys, 2));
  const whole = streams > 1 ? graph.reshape(key, length, cells * streams) : key;
  return graph.setRows(whole, flat, rows);
}

/** `cpy_v`: without flash attention the values are transposed, and each is a row. */
export function writeValues(
  { graph, context }: GraphScope,
  { value, cells, streams }: LayerCache,
  rows: Tensor,
  values: Tensor,
): Tensor {
  const length = graph.ne(values, 0) * graph.ne(values, 1);
  const tokens = graph.ne(values, 2);
  if (context.flashAttention) {
    const flat = graph.view2d(values, length, tokens, graph.nb(values, 2));
    const whole = streams > 1 ? graph.reshape(value, length, cells * streams) : value;
    return graph.setRows(whole, flat, rows);
  }
  let flat =
    rowSize(graph.type[values] ?? 0, length) === graph.nb(values, 2)
      ? graph.reshape(values, length, tokens)
      : graph.cont2d(values, length, tokens);
  if (length < graph.ne(value, 0)) flat = graph.pad(flat, graph.ne(value, 0) - length);
  const whole = graph.reshape(value, 1, graph.elements(value));
  return graph.setRows(whole, graph.reshape(flat, 1, graph.elements(flat)), rows);
}

/** `get_k`: the cells of all streams, by heads. */
export function cachedKeys({ graph }: GraphScope, cache: LayerCache, length: number, heads: number): Tensor {
  const type = graph.type[cache.key] ?? 0;
  const row = graph.ne(cache.key, 0);
  const plane = rowSize(type, row * cache.cells);
  return graph.view4d(
    cache.key,
    length,
    heads,
    cache.cells,
    cache.streams,
    rowSize(type, length),
    rowSize(type, row),
    plane,
  );
}

/** `get_v`. */
export function cachedValues(
  { graph, context }: GraphScope,
  cache: LayerCache,
  length: number,
  heads: number,
): Tensor {
  const type = graph.type[cache.value] ?? 0;
  const row = graph.ne(cache.value, 0);
  const { cells, streams } = cache;
  if (context.flashAttention) {
    const strides = [rowSize(type, length), rowSize(type, row), rowSize(type, row * cells)] as const;
    return graph.view4d(cache.value, length, heads, cells, streams, ...strides);
  }
  const strides = [rowSize(type, cells * length), rowSize(type, cells), rowSize(type, cells * row)] as const;
  return graph.view4d(cache.value, cells, heads, length, streams, ...strides);
}

/** What some architectures do to the scores, and read beside the cache. */
export interface AttentionOptions {
  readonly sinks?: Tensor;
  /** The scores are bent by a hyperbolic tangent (`attn_soft_cap`). */
  readonly softCap?: boolean;
  /** The weight that decompresses what latent attention has gathered. */
  readonly decompress?: Tensor;
}

/** `build_attn_mha`: with flash attention one operation, without it the scores of all heads. */
export function attend(
  scope: GraphScope,
  queries: Tensor,
  keys: Tensor,
  values: Tensor,
  mask: Tensor,
  { sinks = -1, softCap = false, decompress = -1 }: AttentionOptions = {},
): Tensor {
  const { graph, context } = scope;
  const isTransposed = graph.nb(values, 1) > graph.nb(values, 2);
  const streams = graph.ne(keys, 3);
  const split = graph.view4d(
    queries,
    graph.ne(queries, 0),
    graph.ne(queries, 1),
    graph.ne(queries, 2) / streams,
    streams,
    graph.nb(queries, 1),
    graph.nb(queries, 2),
    graph.nb(queries, 3) / streams,
  );
  const q = graph.permute(split, 0, 2, 1, 3);
  const k = graph.permute(keys, 0, 2, 1, 3);
  let v = graph.permute(values, 0, 2, 1, 3);
  let result: Tensor;
  if (context.flashAttention) {
    if (isTransposed) v = graph.transpose(v);
    const keysF16 = graph.type[k] === TYPE.f32 ? graph.cast(k, TYPE.f16) : k;
    const valuesF16 = graph.type[v] === TYPE.f32 ? graph.cast(v, TYPE.f16) : v;
    result = graph.flashAttention(q, keysF16, valuesF16, mask, sinks);
    if (decompress >= 0) {
      result = graph.mulMat(decompress, graph.permute(result, 0, 2, 1, 3));
      result = graph.cont(graph.permute(result, 0, 2, 1, 3));
    }
    result = graph.reshape(
      result,
      graph.ne(result, 0) * graph.ne(result, 1),
      graph.ne(result, 2) * graph.ne(result, 3),
    );
  } else {
    let scores = graph.mulMat(k, q);
    if (softCap) scores = graph.scale(graph.unary(graph.scale(scores), UNARY.other));
    scores = graph.softMax(scores, mask, sinks);
    if (!isTransposed) v = graph.cont(graph.transpose(v));
    let mixed = graph.mulMat(v, scores);
    if (decompress >= 0) mixed = graph.mulMat(decompress, mixed);
    const joined = graph.permute(mixed, 0, 2, 1, 3);
    result = graph.cont2d(
      joined,
      graph.ne(joined, 0) * graph.ne(joined, 1),
      graph.ne(joined, 2) * graph.ne(joined, 3),
    );
  }
  graph.expand(result);
  return result;
}

/**
 * `build_attn` over a KV cache, before the last projection: the rows are written to the cache and then all of it read.
 * With windows keys come before values, without them after.
 */
export function attendToCache(
  scope: GraphScope,
  layer: number,
  heads: Heads,
  inputs: CacheInputs,
  keysFirst: boolean,
  options: AttentionOptions = {},
): Tensor {
  const { graph } = scope;
  let { query, key, value } = heads;
  if (inputs.keyRotation >= 0) {
    query = rotate(scope, query, inputs.keyRotation);
    if (key >= 0) key = rotate(scope, key, inputs.keyRotation);
  }
  if (inputs.valueRotation >= 0 && value >= 0) value = rotate(scope, value, inputs.valueRotation);
  graph.expand(query);
  for (const each of keysFirst ? [key, value] : [value, key]) if (each >= 0) graph.expand(each);
  const lengths = headLengths(scope, layer);
  const cache = scope.cache(cacheLayerOf(scope, layer));
  if (key >= 0) graph.expand(writeKeys(scope, cache, inputs.keyRows, key));
  if (value >= 0) graph.expand(writeValues(scope, cache, inputs.valueRows, value));
  const result = attend(
    scope,
    query,
    cachedKeys(scope, cache, lengths.key, lengths.kvHeads),
    cachedValues(scope, cache, lengths.value, lengths.kvHeads),
    inputs.mask,
    options,
  );
  return inputs.valueRotation < 0 ? result : rotate(scope, result, inputs.valueRotation);
}

/** The layer whose cache a layer reads: at the end some share that of the last one of their kind. */
function cacheLayerOf({ shape }: GraphScope, layer: number): number {
  const own = shape.layers - shape.sharedKvLayers;
  if (layer < own) return layer;
  for (let before = own - 1; before >= 0; before -= 1) {
    if (isWindowed(shape, before) === isWindowed(shape, layer)) return before;
  }
  return layer;
}
