import { indexerOf } from '../../../architectures/latent-attention.ts';
import { cachedKeys, writeKeys } from '../attention.ts';
import { sigmoidExpertsOrNetwork } from '../experts.ts';
import type { GraphScope } from '../graph-scope.ts';
import {
  cacheInputs,
  embeddings,
  outputRows,
  positions,
  rotationInput,
  type CacheInputs,
} from '../inputs.ts';
import { OP, TYPE, type TypeId } from '../operations.ts';
import type { Tensor } from '../tensor-store.ts';
import { attendToLatent, latentHeads } from './latent.ts';
import { finish } from './logits.ts';

/** The inputs of an indexer's cache: its mask is F16, as the fused indexer wants it. */
interface IndexerInputs {
  readonly keyRows: Tensor;
  readonly mask: Tensor;
  readonly rotation: Tensor;
}

/** `build_attn_inp_k_dsa_impl`, src/llama-graph.cpp. */
function indexerInputs(scope: GraphScope): IndexerInputs {
  const { graph, context, tokens } = scope;
  const { streams, sequenceTokens } = context;
  return {
    keyRows: graph.input(TYPE.i64, tokens),
    mask: graph.input(TYPE.f16, sequenceTokens, tokens / streams, 1, streams),
    rotation: rotationInput(scope, indexerOf(scope.shape).headLength),
  };
}

/** DeepSeek V3.2 and GLM 5: src/models/deepseek32.cpp and glm-dsa.cpp. */
export function indexedDecoder(scope: GraphScope, layers: readonly number[]): void {
  const { graph, shape } = scope;
  const indexer = indexerOf(shape);
  let stream = embeddings(scope);
  const rotated = positions(scope);
  const cache = cacheInputs(scope);
  const inputs = indexerInputs(scope);
  const outputs = outputRows(scope);
  let chosen: Tensor | null = null;
  layers.forEach((layer, index) => {
    const normed = scope.rmsNorm(stream, scope.of(layer, 'attn_norm.weight'));
    const narrow = graph.mulMat(scope.of(layer, 'attn_q_a.weight'), normed);
    const compressed = scope.rmsNorm(narrow, scope.of(layer, 'attn_q_a_norm.weight'));
    if (indexer.onLayers[layer] === true) {
      chosen = chooseTokens(scope, inputs, layer, normed, compressed, rotated);
    }
    const mixed = attention(scope, layer, normed, compressed, rotated, cache, chosen);
    const isLast = index === layers.length - 1;
    const row = (a: Tensor): Tensor => (isLast ? graph.getRows(a, outputs) : a);
    const sum = graph.add(row(mixed), row(stream));
    stream = graph.add(
      sigmoidExpertsOrNetwork(scope, layer, scope.rmsNorm(sum, scope.of(layer, 'ffn_norm.weight'))),
      sum,
    );
  });
  finish(scope, stream);
}

function attention(
  scope: GraphScope,
  layer: number,
  normed: Tensor,
  compressed: Tensor,
  rotated: Tensor,
  cache: CacheInputs,
  chosen: Tensor | null,
): Tensor {
  const { graph } = scope;
  const queries = graph.mulMat(scope.of(layer, 'attn_q_b.weight'), compressed);
  const heads = latentHeads(scope, layer, normed, queries, rotated);
  if (chosen === null) throw new RangeError(`no indexer comes before layer ${layer} of ${scope.shape.id}`);
  const tokens = chosen;
  const attended = attendToLatent(scope, layer, heads, cache, () =>
    maskOfChosen(scope, cache.mask, tokens, TYPE.f32),
  );
  return graph.mulMat(scope.of(layer, 'attn_output.weight'), attended);
}

/** The tokens of each stream that the indexer of a layer scores best; its keys are kept. */
function chooseTokens(
  scope: GraphScope,
  inputs: IndexerInputs,
  layer: number,
  normed: Tensor,
  compressed: Tensor,
  rotated: Tensor,
): Tensor {
  const { graph, tokens } = scope;
  const { heads, headLength } = indexerOf(scope.shape);
  const wide = graph.mulMat(scope.of(layer, 'indexer.attn_q_b.weight'), compressed);
  let query = graph.rope(graph.reshape(wide, headLength, heads, tokens), rotated);
  const narrow = graph.mulMat(scope.of(layer, 'indexer.attn_k.weight'), normed);
  const keyNorm = scope.layerNorm(
    narrow,
    scope.of(layer, 'indexer.k_norm.weight'),
    scope.of(layer, 'indexer.k_norm.bias'),
  );
  let key = graph.rope(graph.reshape(keyNorm, headLength, 1, tokens), rotated);
  query = graph.mulMat(inputs.rotation, query);
  key = graph.mulMat(inputs.rotation, key);
  const cache = scope.cache(layer, 'indexer');
  graph.expand(writeKeys(scope, cache, inputs.keyRows, key));
  const weights = graph.mulMat(scope.of(layer, 'indexer.proj.weight'), normed);
  const keys = cachedKeys(scope, cache, headLength, 1);
  const factors = graph.scale(splitFactors(scope, weights, graph.ne(keys, 3)));
  return bestRows(scope, { query, keys, factors, mask: inputs.mask });
}

/** What an indexer scores rows by. */
export interface RowScores {
  /** Of all heads of the indexer. */
  readonly query: Tensor;
  readonly keys: Tensor;
  /** How much each head counts, stream by stream. */
  readonly factors: Tensor;
  readonly mask: Tensor;
}

/** The weights of an indexer's heads, divided between the streams. */
export function splitFactors({ graph, tokens }: GraphScope, factors: Tensor, streams: number): Tensor {
  return graph.view4d(
    factors,
    graph.ne(factors, 0),
    tokens / streams,
    1,
    streams,
    graph.nb(factors, 1),
    graph.nb(factors, 2) / streams,
    graph.nb(factors, 3) / streams,
  );
}

/** The best rows of each stream, by the fused indexer. */
export function bestRows(scope: GraphScope, { query, keys, factors, mask }: RowScores): Tensor {
  const { graph, tokens } = scope;
  const streams = graph.ne(keys, 3);
  const split = graph.view4d(
    query,
    graph.ne(query, 0),
    graph.ne(query, 1),
    tokens / streams,
    streams,
    graph.nb(query, 1),
    graph.nb(query, 2),
    graph.nb(query, 3) / streams,
  );
  const rows = graph.ne(keys, 2);
  const scores = graph.operation(
    OP.lightningIndexer,
    [rows, tokens / streams, 1, streams],
    [split, keys, factors, mask],
  );
  return graph.cont(graph.topK(scores, Math.min(rows, indexerOf(scope.shape).topK)));
}

/**
 * The mask of a cache with all but the chosen rows hidden: `build_attn` with `llm_graph_input_attn_k_dsa`.
 * @param type - of the zeros that show a row.
 */
export function maskOfChosen({ graph }: GraphScope, mask: Tensor, chosen: Tensor, type: TypeId): Tensor {
  const hidden = graph.fill(mask);
  const [cells, tokens, streams] = [graph.ne(mask, 0), graph.ne(mask, 1), graph.ne(mask, 3)];
  const [nb0, nb1, nb2] = [graph.nb(hidden, 0), graph.nb(hidden, 1), graph.nb(hidden, 2)];
  const values = graph.view4d(hidden, 1, cells, tokens, streams, nb0, nb1, nb2);
  const count = graph.ne(chosen, 0);
  const rows = graph.view4d(
    chosen,
    count,
    tokens,
    streams,
    1,
    graph.nb(chosen, 1),
    graph.nb(chosen, 2),
    streams * graph.nb(chosen, 3),
  );
  const zeros = graph.fill(graph.create(OP.none, type, 1, count, tokens, streams));
  const shown = graph.setRows(values, zeros, rows);
  const [nbs2, nbs3] = [graph.nb(shown, 2), graph.nb(shown, 3)];
  return graph.add(graph.view4d(shown, cells, tokens, 1, streams, nbs2, nbs3, nbs3), mask);
}
