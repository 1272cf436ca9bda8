import { isExpertLayer, isRecurrentLayer } from '../../../shape.ts';
import { attendToCache, queryKeyValue } from '../attention.ts';
import { mixtureOfExperts } from '../experts.ts';
import type { GraphScope } from '../graph-scope.ts';
import { cacheInputs, embeddings, outputRows, positions, type CacheInputs } from '../inputs.ts';
import { network } from '../network.ts';
import type { Tensor } from '../tensor-store.ts';
import { convolve, extendInputs, readState, stateInputs, type StateInputs } from './states.ts';

/** LFM2: src/models/lfm2.cpp. */
export function lfm2(scope: GraphScope, layers: readonly number[]): void {
  const { graph, shape } = scope;
  let stream = embeddings(scope);
  const states = stateInputs(scope);
  const cache = cacheInputs(scope);
  const rotated = positions(scope);
  const outputs = outputRows(scope);
  layers.forEach((layer, index) => {
    let before = stream;
    const normed = scope.rmsNorm(stream, scope.of(layer, 'attn_norm.weight'));
    let mixed = isRecurrentLayer(shape, layer)
      ? shortConvolution(scope, states, layer, normed)
      : attention(scope, cache, rotated, layer, normed);
    if (index === layers.length - 1) {
      mixed = graph.getRows(mixed, outputs);
      before = graph.getRows(before, outputs);
    }
    const sum = graph.add(before, mixed);
    stream = graph.add(
      sum,
      feedForward(scope, layer, scope.rmsNorm(sum, scope.of(layer, 'ffn_norm.weight'))),
    );
  });
  const result = scope.rmsNorm(stream, scope.weight('token_embd_norm.weight'));
  graph.setOutput(result);
  const logits = graph.mulMat(scope.head(), result);
  graph.setOutput(logits);
  graph.expand(logits);
}

function feedForward(scope: GraphScope, layer: number, normed: Tensor): Tensor {
  const { experts } = scope.shape;
  if (experts === null || !isExpertLayer(scope.shape, layer)) return network(scope, layer, normed);
  return mixtureOfExperts(scope, layer, normed, experts, { gating: 'sigmoid', normed: true, scaled: false });
}

function attention(
  scope: GraphScope,
  cache: CacheInputs,
  rotated: Tensor,
  layer: number,
  normed: Tensor,
): Tensor {
  const { graph } = scope;
  const { query, key, value } = queryKeyValue(scope, layer, normed);
  const rotate = (a: Tensor, name: string): Tensor =>
    graph.rope(scope.rmsNorm(a, scope.of(layer, name)), rotated);
  const heads = { query: rotate(query, 'attn_q_norm.weight'), key: rotate(key, 'attn_k_norm.weight'), value };
  return scope.project(layer, 'attn_output', attendToCache(scope, layer, heads, cache, false));
}

/** `build_shortconv_block`. */
function shortConvolution(scope: GraphScope, states: StateInputs, layer: number, normed: Tensor): Tensor {
  const { graph, shape, context, tokens } = scope;
  const width = shape.embeddingLength;
  const { sequences } = context;
  const length = tokens / sequences;
  const rows = graph.reshape(normed, width, length, sequences);
  const all = graph.mulMat(scope.of(layer, 'shortconv.in_proj.weight'), rows);
  const part = (): Tensor => graph.view3d(all, width, length, sequences, graph.nb(all, 1), graph.nb(all, 2));
  const [b, c, x] = [part(), part(), part()];
  const product = graph.mul(b, x);
  const state = readState(scope, states, layer, 'convolution');
  const joined = extendInputs(scope, layer, state, product, false);
  const convolved = convolve(scope, joined, scope.of(layer, 'shortconv.conv.weight'));
  const result = graph.mulMat(scope.of(layer, 'shortconv.out_proj.weight'), graph.mul(c, convolved));
  return graph.reshape(result, width, tokens);
}
