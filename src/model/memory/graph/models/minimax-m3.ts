import { indexerOf } from '../../../architectures/latent-attention.ts';
import { ofLayer } from '../../../shape.ts';
import {
  attendToCache,
  cachedKeys,
  cachedValues,
  queryKeyValue,
  rotate,
  writeKeys,
  writeValues,
  type Heads,
} from '../attention.ts';
import { sigmoidExpertsOrNetwork } from '../experts.ts';
import type { GraphScope } from '../graph-scope.ts';
import { cacheInputs, embeddings, outputRows, positions, type CacheInputs } from '../inputs.ts';
import { OP, TYPE } from '../operations.ts';
import type { Tensor } from '../tensor-store.ts';
import { finish } from './logits.ts';

/** Positions that an empty cache is taken to have: `llama_kv_cache_msa_context::get_n_pos`, src/llama-kv-cache-msa.cpp. */
const RESERVED_POSITIONS = 256;

/** The inputs of the choice of blocks: `llm_graph_input_msa`, src/models/minimax-m3.cpp. */
interface BlockInputs {
  readonly keyRows: Tensor;
  readonly bias: Tensor;
  readonly positionMask: Tensor;
  readonly positionCells: Tensor;
  readonly cellBlocks: Tensor;
  /** The mask in F32. */
  readonly mask: Tensor;
  readonly blocks: number;
}

/** Blocks are chosen with flash attention alone, and for streams that are apart. */
function blockInputs(scope: GraphScope, cache: CacheInputs): BlockInputs | null {
  const { graph, shape, context, tokens } = scope;
  const { blocks: rules } = indexerOf(shape);
  const isApart = context.sequences === 1 || !context.unifiedCache;
  if (!context.flashAttention || !isApart || rules === null) return null;
  const blocks = Math.ceil(RESERVED_POSITIONS / rules.size);
  const places = blocks * rules.size;
  return {
    keyRows: graph.input(TYPE.i64, tokens),
    bias: graph.input(TYPE.f32, blocks, tokens),
    positionMask: graph.input(TYPE.f32, places, tokens),
    positionCells: graph.input(TYPE.i32, places, context.streams),
    cellBlocks: graph.input(TYPE.i32, graph.ne(cache.mask, 0), context.streams),
    mask: graph.cast(cache.mask, TYPE.f32),
    blocks,
  };
}

/** MiniMax M3: src/models/minimax-m3.cpp. */
export function minimaxM3(scope: GraphScope, layers: readonly number[]): void {
  const { graph, shape } = scope;
  let stream = embeddings(scope);
  const rotated = positions(scope);
  const cache = cacheInputs(scope);
  const inputs = blockInputs(scope, cache);
  const outputs = outputRows(scope);
  layers.forEach((layer, index) => {
    const normed = scope.rmsNorm(stream, scope.of(layer, 'attn_norm.weight'));
    const heads = rotatedHeads(scope, layer, normed, rotated);
    const choosesBlocks = inputs !== null && indexerOf(shape).onLayers[layer] === true;
    const attended = choosesBlocks
      ? attendToBlocks(scope, layer, cache, inputs, heads, indexerHeads(scope, layer, normed, rotated))
      : attendToCache(scope, layer, heads, cache, false);
    const mixed = graph.mulMat(scope.of(layer, 'attn_output.weight'), attended);
    const row = (a: Tensor): Tensor => (index === layers.length - 1 ? graph.getRows(a, outputs) : a);
    const sum = graph.add(row(mixed), row(stream));
    stream = graph.add(
      sigmoidExpertsOrNetwork(scope, layer, scope.rmsNorm(sum, scope.of(layer, 'ffn_norm.weight'))),
      sum,
    );
  });
  finish(scope, stream);
}

function rotatedHeads(scope: GraphScope, layer: number, normed: Tensor, rotated: Tensor): Heads {
  const { graph } = scope;
  const { query, key, value } = queryKeyValue(scope, layer, normed);
  const rotate = (a: Tensor, name: string): Tensor =>
    graph.rope(scope.rmsNorm(a, scope.of(layer, name)), rotated);
  return { query: rotate(query, 'attn_q_norm.weight'), key: rotate(key, 'attn_k_norm.weight'), value };
}

function indexerHeads(
  scope: GraphScope,
  layer: number,
  normed: Tensor,
  rotated: Tensor,
): { readonly query: Tensor; readonly key: Tensor } {
  const { graph, shape, tokens } = scope;
  const { heads, headLength } = indexerOf(shape);
  const part = (name: string, count: number): Tensor => {
    const flat = graph.mulMat(scope.of(layer, `indexer.${name}_proj.weight`), normed);
    const rows = graph.reshape(flat, headLength, count, tokens);
    return graph.rope(scope.rmsNorm(rows, scope.of(layer, `indexer.${name}_norm.weight`)), rotated);
  };
  return { query: part('q', heads), key: part('k', 1) };
}

/** One stream after the other: each head of the indexer chooses the blocks of a group of heads. */
function attendToBlocks(
  scope: GraphScope,
  layer: number,
  cache: CacheInputs,
  inputs: BlockInputs,
  heads: Heads,
  indexer: { readonly query: Tensor; readonly key: Tensor },
): Tensor {
  const { graph, shape, context } = scope;
  const keys = scope.cache(layer, 'indexer');
  graph.expand(writeKeys(scope, keys, inputs.keyRows, indexer.key));
  const turn = (a: Tensor, by: Tensor): Tensor => (by < 0 ? a : rotate(scope, a, by));
  const query = turn(heads.query, cache.keyRotation);
  const key = turn(heads.key, cache.keyRotation);
  const value = turn(heads.value, cache.valueRotation);
  graph.expand(query);
  graph.expand(key);
  graph.expand(value);
  const own = scope.cache(layer);
  graph.expand(writeKeys(scope, own, cache.keyRows, key));
  graph.expand(writeValues(scope, own, cache.valueRows, value));
  const kvHeads = ofLayer(shape.kvHeads, layer);
  const all = {
    query,
    indexed: indexer.query,
    keys: cachedKeys(scope, own, shape.keyHeadLength, kvHeads),
    values: cachedValues(scope, own, shape.valueHeadLength, kvHeads),
    indexerKeys: cachedKeys(scope, keys, graph.ne(keys.key, 0), 1),
  };
  let result = -1;
  for (let stream = 0; stream < context.streams; stream += 1) {
    const part = attendInStream(scope, inputs, all);
    result = result < 0 ? part : graph.concat(result, part, 1);
  }
  return turn(result, cache.valueRotation);
}

interface StreamSources {
  readonly query: Tensor;
  /** The indexer's queries. */
  readonly indexed: Tensor;
  readonly keys: Tensor;
  readonly values: Tensor;
  readonly indexerKeys: Tensor;
}

/** `build_attn_msa_fa` on the part of a stream. */
function attendInStream(scope: GraphScope, inputs: BlockInputs, sources: StreamSources): Tensor {
  const { graph, context } = scope;
  const tokens = scope.tokens / context.streams;
  const { query, keys, values } = sources;
  const [length, heads] = [graph.ne(query, 0), graph.ne(query, 1)];
  const groups = graph.ne(keys, 1);
  const own = graph.view3d(query, length, heads, tokens, graph.nb(query, 1), graph.nb(query, 2));
  const cached = (a: Tensor): Tensor => {
    const cells = graph.ne(a, 2);
    const part = graph.view4d(a, length, groups, cells, 1, graph.nb(a, 1), graph.nb(a, 2), graph.nb(a, 3));
    return graph.permute(part, 0, 3, 1, 2);
  };
  const mask = chosenBlocks(scope, inputs, sources.indexed, sources.indexerKeys);
  const grouped = graph.permute(graph.reshape(own, length, heads / groups, groups, tokens), 0, 2, 3, 1);
  const attended = graph.flashAttention(grouped, cached(keys), cached(values), mask);
  const joined = graph.cont(graph.permute(attended, 0, 1, 3, 2));
  return graph.reshape(joined, length * heads, tokens);
}

/** The mask of the cells in the blocks that each head of the indexer scores best, by groups. */
function chosenBlocks(scope: GraphScope, inputs: BlockInputs, query: Tensor, keys: Tensor): Tensor {
  const { graph, shape, context } = scope;
  const { heads, headLength, topK } = indexerOf(shape);
  const { blocks, bias, positionMask, mask } = inputs;
  const tokens = scope.tokens / context.streams;
  const cells = graph.ne(keys, 2);
  const places = graph.ne(positionMask, 0);
  const own = graph.view3d(query, headLength, heads, tokens, graph.nb(query, 1), graph.nb(query, 2));
  const rows = graph.view2d(keys, headLength, cells, graph.nb(keys, 2));
  const gathered = graph.getRows(rows, graph.view1d(inputs.positionCells, places));
  const flat = graph.mulMat(gathered, graph.reshape(own, headLength, heads * tokens));
  const known = graph.view3d(
    positionMask,
    places,
    1,
    tokens,
    graph.nb(positionMask, 1),
    graph.nb(positionMask, 1),
  );
  const scores = graph.inPlace(OP.add, graph.reshape(flat, places, heads, tokens), known);
  const best = graph.operation(OP.pool2d, [blocks, heads, tokens], [scores]);
  const forced = graph.view3d(bias, blocks, 1, tokens, graph.nb(bias, 1), graph.nb(bias, 1));
  const count = Math.min(topK, blocks);
  const chosen = graph.topK(graph.add(best, forced), count);
  const hidden = graph.repeat4d(graph.cast(graph.scale(forced), TYPE.f16), blocks, heads, tokens, 1);
  const shown = graph.scale(graph.cast(chosen, TYPE.f32));
  let byBlock = graph.setRows(
    graph.reshape(hidden, 1, blocks, heads * tokens),
    graph.reshape(shown, 1, count, heads * tokens),
    graph.reshape(chosen, count, heads * tokens),
  );
  byBlock = graph.permute(graph.reshape(byBlock, blocks, heads, tokens), 0, 2, 1, 3);
  byBlock = graph.reshape(graph.cont(byBlock), blocks, tokens * heads);
  const across = graph.cont(graph.transpose(byBlock));
  const spread = graph.getRows(across, graph.view1d(inputs.cellBlocks, cells));
  const byCell = graph.reshape(graph.cont(graph.transpose(spread)), cells, tokens, heads);
  const causal = graph.view3d(mask, cells, tokens, 1, graph.nb(mask, 1), graph.nb(mask, 3));
  const whole = graph.inPlace(OP.add, byCell, causal);
  return graph.cast(graph.reshape(whole, cells, tokens, 1, heads), TYPE.f16);
}
