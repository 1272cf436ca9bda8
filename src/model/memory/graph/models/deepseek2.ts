import { latentOf } from '../../../architectures/latent-attention.ts';
import { isExpertLayer, ofLayer } from '../../../shape.ts';
import { mixtureOfExperts } from '../experts.ts';
import type { GraphScope } from '../graph-scope.ts';
import { cacheInputs, embeddings, outputRows, positions } from '../inputs.ts';
import { network, SHARED } from '../network.ts';
import type { Tensor } from '../tensor-store.ts';
import { attendToLatent, latentHeads } from './latent.ts';

/** src/models/deepseek2.cpp: DeepSeek V2 and V3, Kimi K2, GLM 4.7 Flash. */
export function deepseek2(scope: GraphScope, layers: readonly number[]): void {
  const { graph } = scope;
  let stream = embeddings(scope);
  const at = positions(scope);
  const inputs = cacheInputs(scope);
  const outputs = outputRows(scope);
  layers.forEach((layer, index) => {
    const isLast = index === layers.length - 1;
    const chosen = (a: Tensor): Tensor => (isLast ? graph.getRows(a, outputs) : a);
    const normed = scope.rmsNorm(stream, scope.of(layer, 'attn_norm.weight'));
    const heads = latentHeads(scope, layer, normed, queries(scope, layer, normed), at);
    const attended = attendToLatent(scope, layer, heads, inputs);
    const sum = graph.add(chosen(scope.project(layer, 'attn_output', attended)), chosen(stream));
    const again = scope.rmsNorm(sum, scope.of(layer, 'ffn_norm.weight'));
    stream = graph.add(networkOf(scope, layer, again), sum);
  });
  const normed = scope.rmsNorm(stream, scope.weight('output_norm.weight'));
  graph.setOutput(normed);
  const logits = graph.mulMat(scope.head(), normed);
  graph.setOutput(logits);
  graph.expand(logits);
}

/** The queries of all heads; compressed first where the model does so. */
function queries(scope: GraphScope, layer: number, normed: Tensor): Tensor {
  const { graph, shape, tokens } = scope;
  const byHeads = (rows: Tensor): Tensor =>
    graph.reshape(rows, latentOf(shape).keyHeadLength, ofLayer(shape.heads, layer), tokens);
  if (latentOf(shape).queryRank === null) return byHeads(scope.project(layer, 'attn_q', normed));
  const narrow = scope.project(layer, 'attn_q_a', normed);
  const rank = scope.rmsNorm(narrow, scope.of(layer, 'attn_q_a_norm.weight'));
  return byHeads(scope.project(layer, 'attn_q_b', rank));
}

function networkOf(scope: GraphScope, layer: number, normed: Tensor): Tensor {
  const { graph, shape } = scope;
  if (!isExpertLayer(shape, layer) || shape.experts === null) return network(scope, layer, normed);
  const mixed = mixtureOfExperts(scope, layer, normed, shape.experts, {
    // Scores that a correction is added to are sigmoids (DeepSeek V3 and its followers).
    gating: shape.experts.scoreCorrection ? 'sigmoid' : 'softmax',
    normed: true,
    scaled: false,
  });
  if (scope.of(layer, 'ffn_up_shexp.weight') < 0) return mixed;
  return graph.add(mixed, network(scope, layer, normed, 'silu', SHARED));
}
