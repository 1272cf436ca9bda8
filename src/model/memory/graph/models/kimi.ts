import { isExpertLayer, isRecurrentLayer } from '../../../shape.ts';
import { mixtureOfExperts, sigmoidExpertsOrNetwork } from '../experts.ts';
import type { GraphScope } from '../graph-scope.ts';
import { cacheInputs, embeddings, outputRows, type CacheInputs } from '../inputs.ts';
import { OP, UNARY } from '../operations.ts';
import type { Tensor } from '../tensor-store.ts';
import { kimiDelta } from './delta-net.ts';
import { attendToLatent, latentHeads } from './latent.ts';
import { finish } from './logits.ts';
import { stateInputs, type StateInputs } from './states.ts';

interface KimiInputs {
  readonly states: StateInputs;
  readonly cache: CacheInputs;
}

function mix(scope: GraphScope, layer: number, normed: Tensor, { states, cache }: KimiInputs): Tensor {
  const { shape } = scope;
  const { recurrent } = shape;
  if (!isRecurrentLayer(shape, layer)) return latentAttention(scope, layer, normed, cache);
  if (recurrent?.kind !== 'kimi-delta') throw new RangeError(`${shape.id} has no Kimi delta attention`);
  return kimiDelta(scope, recurrent, states, layer, normed);
}

/** Nothing is rotated; Kimi K3 multiplies the result with a gate. */
function latentAttention(scope: GraphScope, layer: number, normed: Tensor, cache: CacheInputs): Tensor {
  const { graph } = scope;
  const weight = (name: string): Tensor => scope.of(layer, name);
  const narrow = weight('attn_q_a.weight');
  const queries =
    narrow < 0
      ? graph.mulMat(weight('attn_q.weight'), normed)
      : graph.mulMat(
          weight('attn_q_b.weight'),
          scope.rmsNorm(graph.mulMat(narrow, normed), weight('attn_q_a_norm.weight')),
        );
  const heads = latentHeads(scope, layer, normed, queries, -1);
  let attended = attendToLatent(scope, layer, heads, cache);
  const gate = weight('attn_gate.weight');
  if (gate >= 0) attended = graph.mul(attended, graph.unary(graph.mulMat(gate, normed), UNARY.sigmoid));
  return graph.mulMat(weight('attn_output.weight'), attended);
}

/** Kimi Linear: src/models/kimi-linear.cpp. */
export function kimiLinear(scope: GraphScope, layers: readonly number[]): void {
  const { graph } = scope;
  let stream = embeddings(scope);
  const inputs = { states: stateInputs(scope), cache: cacheInputs(scope) };
  const outputs = outputRows(scope);
  layers.forEach((layer, index) => {
    const normed = scope.rmsNorm(stream, scope.of(layer, 'attn_norm.weight'));
    graph.expand(normed);
    const mixed = mix(scope, layer, normed, inputs);
    const row = (a: Tensor): Tensor => (index === layers.length - 1 ? graph.getRows(a, outputs) : a);
    const sum = graph.add(row(mixed), row(stream));
    const again = scope.rmsNorm(sum, scope.of(layer, 'ffn_norm.weight'));
    stream = graph.add(sigmoidExpertsOrNetwork(scope, layer, again), sum);
  });
  finish(scope, stream);
}

/** Layers after which Kimi K3 banks its residual stream (`attn_res.block_size` of the published model). */
const BANK_PERIOD = 12;

/** Kimi K3: src/models/kimi-k3.cpp. Layers read a mixture of the streams that earlier ones have banked. */
export function kimiK3(scope: GraphScope, layers: readonly number[]): void {
  const { graph, shape, tokens } = scope;
  let stream = embeddings(scope);
  const inputs = { states: stateInputs(scope), cache: cacheInputs(scope) };
  const outputs = outputRows(scope);
  let bank = -1;
  for (const layer of layers) {
    const mixture = readBank(scope, bank, stream, scope.of(layer, 'attn_res_score.weight'));
    const isBanked = layer % BANK_PERIOD === 0;
    if (isBanked) {
      const banked = graph.reshape(stream, shape.embeddingLength, 1, tokens);
      bank = bank < 0 ? banked : graph.concat(bank, banked, 1);
    }
    const normed = scope.rmsNorm(mixture, scope.of(layer, 'attn_norm.weight'));
    graph.expand(normed);
    const mixed = mix(scope, layer, normed, inputs);
    const sum = isBanked ? mixed : graph.add(stream, mixed);
    const read = readBank(scope, bank, sum, scope.of(layer, 'ffn_res_score.weight'));
    const update = latentNetwork(scope, layer, scope.rmsNorm(read, scope.of(layer, 'ffn_norm.weight')));
    stream = graph.add(sum, update);
  }
  const last = readBank(scope, bank, stream, scope.weight('output_res_score.weight'));
  finish(scope, graph.getRows(last, outputs));
}

/** `res_mix`: the stream and the banked ones, by how well they score. @param bank - -1: none is banked yet. */
function readBank(scope: GraphScope, bank: Tensor, stream: Tensor, weight: Tensor): Tensor {
  if (bank < 0) return stream;
  const { graph, tokens, shape } = scope;
  const count = graph.ne(bank, 1);
  const score = (a: Tensor): Tensor => graph.sumRows(graph.mul(graph.rmsNorm(a), weight));
  const scores = graph.concat(graph.reshape(score(bank), count, tokens), score(stream), 0);
  const shares = graph.softMax(scores);
  const ofBank = graph.cont(graph.view2d(shares, count, tokens, graph.nb(shares, 1)));
  const ofStream = graph.cont(graph.view2d(shares, 1, tokens, graph.nb(shares, 1)));
  const mixed = graph.operation(OP.mixCopies, [shape.embeddingLength, tokens], [bank, ofBank]);
  return graph.add(mixed, graph.mul(stream, ofStream));
}

/** `kimi_k3_situ`: gate and up are both bent by hyperbolic tangents, and the gate by a sigmoid as well. */
function bend({ graph }: GraphScope, gate: Tensor, up: Tensor): Tensor {
  const bent = (a: Tensor): Tensor => graph.scale(graph.unary(graph.scale(a)));
  return graph.mul(graph.mul(bent(gate), graph.unary(gate, UNARY.sigmoid)), bent(up));
}

/** `build_latent_moe`, or a dense network. */
function latentNetwork(scope: GraphScope, layer: number, normed: Tensor): Tensor {
  const { graph, shape } = scope;
  const weight = (name: string): Tensor => scope.of(layer, name);
  const dense = (suffix: string): Tensor => {
    const gate = graph.mulMat(weight(`ffn_gate${suffix}.weight`), normed);
    const up = graph.mulMat(weight(`ffn_up${suffix}.weight`), normed);
    return graph.mulMat(weight(`ffn_down${suffix}.weight`), bend(scope, gate, up));
  };
  const { experts } = shape;
  if (experts === null || !isExpertLayer(shape, layer)) return dense('');
  const down = weight('ffn_routed_down.weight');
  const input = down < 0 ? normed : graph.mulMat(down, normed);
  const scores = graph.mulMat(weight('ffn_gate_inp.weight'), normed);
  let routed = mixtureOfExperts(scope, layer, input, experts, {
    gating: 'sigmoid',
    normed: true,
    scaled: false,
    scores,
    bent: (gate, up) => bend(scope, gate, up),
  });
  const norm = weight('ffn_routed_norm.weight');
  if (norm >= 0) routed = scope.rmsNorm(routed, norm);
  const up = weight('ffn_routed_up.weight');
  if (up >= 0) routed = graph.mulMat(up, routed);
  return weight('ffn_gate_shexp.weight') < 0 ? routed : graph.add(routed, dense('_shexp'));
}
