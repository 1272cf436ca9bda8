import { indexerOf } from '../../../architectures/latent-attention.ts';
import { isExpertLayer } from '../../../shape.ts';
import { cachedKeys, writeKeys } from '../attention.ts';
import { mixtureOfExperts } from '../experts.ts';
import type { GraphScope } from '../graph-scope.ts';
import {
  cacheInputs,
  embeddings,
  outputRows,
  positions,
  rotationInput,
  type CacheInputs,
} from '../inputs.ts';
import { network, SHARED } from '../network.ts';
import { OP, TYPE } from '../operations.ts';
import type { Tensor } from '../tensor-graph.ts';
import { attendToLatent, latentHeads } from './latent.ts';

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
      feedForward(scope, layer, scope.rmsNorm(sum, scope.of(layer, 'ffn_norm.weight'))),
      sum,
    );
  });
  const result = scope.rmsNorm(stream, scope.weight('output_norm.weight'));
  graph.setOutput(result);
  const logits = graph.mulMat(scope.head(), result);
  graph.setOutput(logits);
  graph.expand(logits);
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
  const attended = attendToLatent(scope, layer, heads, cache, () => maskOfChosen(scope, cache.mask, tokens));
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
  const { heads, headLength, topK } = indexerOf(scope.shape);
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
  const streams = graph.ne(keys, 3);
  const split = graph.view4d(
    query,
    headLength,
    heads,
    tokens / streams,
    streams,
    graph.nb(query, 1),
    graph.nb(query, 2),
    graph.nb(query, 3) / streams,
  );
  const factors = graph.scale(
    graph.view4d(
      weights,
      heads,
      tokens / streams,
      1,
      streams,
      graph.nb(weights, 1),
      graph.nb(weights, 2) / streams,
      graph.nb(weights, 3) / streams,
    ),
  );
  const cells = graph.ne(keys, 2);
  const scores = graph.operation(
    OP.lightningIndexer,
    [cells, tokens / streams, 1, streams],
    [split, keys, factors, inputs.mask],
  );
  return graph.cont(graph.topK(scores, Math.min(cells, topK)));
}

/** The mask of a cache with all but the chosen tokens hidden: `build_attn` with `llm_graph_input_attn_k_dsa`. */
function maskOfChosen({ graph }: GraphScope, mask: Tensor, chosen: Tensor): Tensor {
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
  const zeros = graph.fill(graph.create(OP.none, TYPE.f32, 1, count, tokens, streams));
  const shown = graph.setRows(values, zeros, rows);
  const [nbs2, nbs3] = [graph.nb(shown, 2), graph.nb(shown, 3)];
  return graph.add(graph.view4d(shown, cells, tokens, 1, streams, nbs2, nbs3, nbs3), mask);
}

function feedForward(scope: GraphScope, layer: number, normed: Tensor): Tensor {
  const { experts } = scope.shape;
  if (experts === null || !isExpertLayer(scope.shape, layer)) return network(scope, layer, normed);
  const routed = mixtureOfExperts(scope, layer, normed, experts, {
    gating: 'sigmoid',
    normed: true,
    scaled: false,
  });
  return scope.graph.add(routed, network(scope, layer, normed, 'silu', SHARED));
}
