import { latentOf } from '../../../architectures/latent-attention.ts';
import { ofLayer } from '../../../shape.ts';
import { attend, cachedKeys, writeKeys } from '../attention.ts';
import type { GraphScope } from '../graph-scope.ts';
import type { CacheInputs } from '../inputs.ts';
import type { Tensor } from '../tensor-store.ts';

/** Queries, keys and values of latent attention: all heads share one compressed row. */
export interface LatentHeads {
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
}

/**
 * The absorbed queries and the compressed row: src/models/deepseek2.cpp, and the same in kimi-linear.cpp and others.
 * @param queries - the projected queries of all heads.
 * @param rotated - the positions; -1: nothing is rotated.
 */
export function latentHeads(
  scope: GraphScope,
  layer: number,
  normed: Tensor,
  queries: Tensor,
  rotated: Tensor,
): LatentHeads {
  const { graph, shape, tokens } = scope;
  const { kvRank, ropeHeadLength, keyHeadLength } = latentOf(shape);
  const heads = ofLayer(shape.heads, layer);
  const plain = keyHeadLength - ropeHeadLength;
  const row = scope.row(keyHeadLength);
  const part = (length: number): Tensor => graph.view3d(queries, length, heads, tokens, row, row * heads);
  const rotate = (a: Tensor): Tensor => (rotated < 0 ? a : graph.rope(a, rotated));
  const compressed = graph.mulMat(scope.of(layer, 'attn_kv_a_mqa.weight'), normed);
  const stride = scope.row(kvRank + ropeHeadLength);
  const rows = graph.view2d(compressed, kvRank, tokens, stride);
  const keyPart = rotate(graph.view3d(compressed, ropeHeadLength, 1, tokens, stride, stride));
  const latent = scope.rmsNorm(rows, scope.of(layer, 'attn_kv_a_norm.weight'));
  const queryPart = rotate(part(ropeHeadLength));
  const apart = graph.permute(part(plain), 0, 2, 1, 3);
  const absorbed = graph.permute(graph.mulMat(scope.of(layer, 'attn_k_b.weight'), apart), 0, 2, 1, 3);
  const value = graph.reshape(latent, kvRank, 1, tokens);
  return {
    query: graph.concat(absorbed, queryPart, 0),
    key: graph.concat(value, keyPart, 0),
    value,
  };
}

/**
 * `build_attn` with `llm_graph_input_attn_k`, before the last projection: values are a part of the keys.
 * @param maskOf - the mask, made once the keys are kept; absent: that of the cache.
 */
export function attendToLatent(
  scope: GraphScope,
  layer: number,
  { query, key, value }: LatentHeads,
  inputs: CacheInputs,
  maskOf: () => Tensor = () => inputs.mask,
): Tensor {
  const { graph } = scope;
  graph.expand(query);
  graph.expand(value);
  graph.expand(key);
  const cache = scope.cache(layer);
  graph.expand(writeKeys(scope, cache, inputs.keyRows, key));
  const mask = maskOf();
  const keys = cachedKeys(scope, cache, graph.ne(key, 0), 1);
  const [nb1, nb2, nb3] = [graph.nb(keys, 1), graph.nb(keys, 2), graph.nb(keys, 3)];
  const values = graph.view4d(
    keys,
    graph.ne(value, 0),
    graph.ne(keys, 1),
    graph.ne(keys, 2),
    graph.ne(keys, 3),
    nb1,
    nb2,
    nb3,
  );
  return attend(scope, query, keys, values, mask, { decompress: scope.of(layer, 'attn_v_b.weight') });
}
