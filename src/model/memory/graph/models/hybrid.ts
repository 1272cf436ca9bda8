import { isExpertLayer, isRecurrentLayer, ofLayer } from '../../../shape.ts';
import { attendToCache, queryKeyValue } from '../attention.ts';
import { mixtureOfExperts, type ExpertRules } from '../experts.ts';
import type { GraphScope } from '../graph-scope.ts';
import { cacheInputs, embeddings, outputRows, positions, type CacheInputs } from '../inputs.ts';
import { network, SHARED, type Activation } from '../network.ts';
import { rowSize, TYPE, UNARY } from '../operations.ts';
import type { Tensor } from '../tensor-store.ts';
import { gatedDeltaNet } from './delta-net.ts';
import { mamba1, mamba2 } from './mamba.ts';
import { stateInputs, type StateInputs } from './states.ts';

/** What the layers of a graph with states share. */
interface HybridInputs {
  readonly states: StateInputs;
  /** null: no layer attends. */
  readonly cache: CacheInputs | null;
  /** -1: nothing is rotated. */
  readonly positions: Tensor;
}

/** The recurrence of a layer of this model. */
function recurrence(scope: GraphScope, layer: number, inputs: HybridInputs, normed: Tensor): Tensor {
  const { recurrent } = scope.shape;
  if (recurrent?.kind === 'mamba1') return mamba1(scope, recurrent, inputs.states, layer, normed);
  if (recurrent?.kind === 'mamba2') return mamba2(scope, recurrent, inputs.states, layer, normed);
  throw new RangeError(`${scope.shape.id} has no Mamba`);
}

function attention(scope: GraphScope, layer: number, inputs: HybridInputs, normed: Tensor): Tensor {
  const { graph } = scope;
  if (inputs.cache === null) throw new RangeError(`layer ${layer} of ${scope.shape.id} has no KV cache`);
  const { query, key, value } = queryKeyValue(scope, layer, normed);
  const rotate = (a: Tensor): Tensor => (inputs.positions < 0 ? a : graph.rope(a, inputs.positions));
  const heads = { query: rotate(query), key: rotate(key), value };
  return scope.project(layer, 'attn_output', attendToCache(scope, layer, heads, inputs.cache, false));
}

const norm = (scope: GraphScope, layer: number, name: string, a: Tensor): Tensor =>
  scope.rmsNorm(a, scope.of(layer, name));

/** The rows that become logits; the caller may read the normed ones of all tokens. */
function finish(scope: GraphScope, stream: Tensor, outputs: Tensor, scales: boolean): void {
  const { graph } = scope;
  let normed = scope.rmsNorm(stream, scope.weight('output_norm.weight'));
  graph.setOutput(normed);
  if (outputs >= 0) {
    normed = graph.getRows(normed, outputs);
    graph.setOutput(normed);
  }
  const logits = graph.mulMat(scope.head(), normed);
  const result = scales ? graph.scale(logits) : logits;
  graph.setOutput(result);
  graph.expand(result);
}

/** Mamba and Jamba: src/models/mamba.cpp and jamba.cpp. */
export function jamba(scope: GraphScope, layers: readonly number[]): void {
  const { graph, shape } = scope;
  let stream = embeddings(scope);
  const inputs = {
    states: stateInputs(scope),
    cache: shape.kvHeads.some((heads) => heads > 0) ? cacheInputs(scope) : null,
    positions: -1,
  };
  const outputs = outputRows(scope);
  layers.forEach((layer, index) => {
    const normed = norm(scope, layer, 'attn_norm.weight', stream);
    let mixed = isRecurrentLayer(shape, layer)
      ? recurrence(scope, layer, inputs, normed)
      : attention(scope, layer, inputs, normed);
    if (index === layers.length - 1) {
      mixed = graph.getRows(mixed, outputs);
      stream = graph.getRows(stream, outputs);
    }
    if (shape.architecture === 'mamba') {
      stream = graph.add(mixed, stream);
      return;
    }
    stream = graph.add(stream, mixed);
    const update = feedForward(scope, layer, norm(scope, layer, 'ffn_norm.weight', stream), {
      gating: 'softmax',
      normed: false,
      scaled: false,
    });
    stream = graph.add(stream, update);
  });
  finish(scope, stream, -1, false);
}

/** Experts with shared ones where a layer has them, else a network. */
function feedForward(
  scope: GraphScope,
  layer: number,
  normed: Tensor,
  rules: ExpertRules,
  activation: Activation = 'silu',
): Tensor {
  const { graph, shape } = scope;
  if (!isExpertLayer(shape, layer) || shape.experts === null)
    return network(scope, layer, normed, activation);
  const routed = mixtureOfExperts(scope, layer, normed, shape.experts, { ...rules, activation });
  if (shape.experts.shared === null) return routed;
  return graph.add(routed, network(scope, layer, normed, activation, SHARED));
}

/** src/models/granite-hybrid.cpp. */
export function graniteHybrid(scope: GraphScope, layers: readonly number[]): void {
  const { graph, shape } = scope;
  let stream = embeddings(scope);
  const inputs = { states: stateInputs(scope), cache: cacheInputs(scope), positions: -1 };
  const outputs = outputRows(scope);
  layers.forEach((layer, index) => {
    const normed = norm(scope, layer, 'attn_norm.weight', stream);
    let mixed = isRecurrentLayer(shape, layer)
      ? recurrence(scope, layer, inputs, normed)
      : attention(scope, layer, inputs, normed);
    if (index === layers.length - 1) {
      mixed = graph.getRows(mixed, outputs);
      stream = graph.getRows(stream, outputs);
    }
    stream = graph.add(mixed, stream);
    const update = feedForward(scope, layer, norm(scope, layer, 'ffn_norm.weight', stream), {
      gating: 'softmax',
      normed: true,
      scaled: false,
    });
    stream = graph.add(update, stream);
  });
  finish(scope, stream, -1, false);
}

/** Every layer has an attention and a Mamba 2 beside it: src/models/falcon-h1.cpp. */
export function falconH1(scope: GraphScope, layers: readonly number[]): void {
  const { graph } = scope;
  let stream = embeddings(scope);
  const rotated = positions(scope);
  const inputs = { states: stateInputs(scope), cache: cacheInputs(scope), positions: rotated };
  const outputs = outputRows(scope);
  layers.forEach((layer, index) => {
    const attended = attention(scope, layer, inputs, norm(scope, layer, 'attn_norm.weight', stream));
    const recurred = recurrence(scope, layer, inputs, norm(scope, layer, 'attn_norm.weight', stream));
    stream = graph.add(graph.add(attended, recurred), stream);
    if (index === layers.length - 1) stream = graph.getRows(stream, outputs);
    const update = network(scope, layer, norm(scope, layer, 'ffn_norm', stream));
    stream = graph.add(update, stream);
  });
  finish(scope, stream, -1, false);
}

/** Each layer is a Mamba 2, an attention or a network: src/models/nemotron-h.cpp. */
export function nemotronH(scope: GraphScope, layers: readonly number[]): void {
  const { graph, shape } = scope;
  let stream = embeddings(scope);
  const inputs = { states: stateInputs(scope), cache: cacheInputs(scope), positions: -1 };
  const outputs = outputRows(scope);
  for (const layer of layers) {
    const normed = norm(scope, layer, 'attn_norm.weight', stream);
    const update = isRecurrentLayer(shape, layer)
      ? recurrence(scope, layer, inputs, normed)
      : ofLayer(shape.kvHeads, layer) > 0
        ? attention(scope, layer, inputs, normed)
        : nemotronNetwork(scope, layer, normed);
    stream = graph.add(update, stream);
  }
  finish(scope, stream, outputs, false);
}

function nemotronNetwork(scope: GraphScope, layer: number, normed: Tensor): Tensor {
  const { graph, shape } = scope;
  if (!isExpertLayer(shape, layer) || shape.experts === null) {
    return network(scope, layer, normed, 'squared-relu');
  }
  const down = scope.of(layer, 'ffn_latent_down.weight');
  const up = scope.of(layer, 'ffn_latent_up.weight');
  const input = down < 0 ? normed : graph.mulMat(down, normed);
  const routed = mixtureOfExperts(scope, layer, input, shape.experts, {
    gating: 'sigmoid',
    normed: true,
    scaled: false,
    activation: 'squared-relu',
    scores: graph.mulMat(scope.of(layer, 'ffn_gate_inp.weight'), normed),
  });
  const wide = up < 0 ? routed : graph.mulMat(up, routed);
  return graph.add(wide, network(scope, layer, normed, 'squared-relu', SHARED));
}

/** Qwen3 Next and Qwen3.5: src/models/qwen3next.cpp, qwen35.cpp and qwen35moe.cpp. */
export function qwenHybrid(scope: GraphScope, layers: readonly number[]): void {
  const { graph, shape } = scope;
  const { recurrent } = shape;
  if (recurrent?.kind !== 'gated-delta-net') throw new RangeError(`${shape.id} has no gated delta net`);
  let stream = embeddings(scope);
  const states = stateInputs(scope);
  const cache = cacheInputs(scope);
  // Qwen3.5 has positions in time, height and width, and one more.
  const rotated = positions(scope, shape.architecture === 'qwen3next' ? 1 : 4);
  const outputs = outputRows(scope);
  for (const layer of layers) {
    const normed = norm(scope, layer, 'attn_norm.weight', stream);
    graph.expand(normed);
    const mixed = isRecurrentLayer(shape, layer)
      ? gatedDeltaNet(scope, recurrent, states, layer, normed)
      : gatedAttention(scope, layer, cache, rotated, normed);
    stream = graph.add(mixed, stream);
    const update = qwenNetwork(scope, layer, norm(scope, layer, 'post_attention_norm.weight', stream));
    stream = graph.add(update, stream);
  }
  finish(scope, stream, outputs, false);
}

/** `build_layer_attn`: queries come with a gate of their own length. */
function gatedAttention(
  scope: GraphScope,
  layer: number,
  cache: CacheInputs,
  rotated: Tensor,
  normed: Tensor,
): Tensor {
  const { graph, shape, tokens } = scope;
  const heads = ofLayer(shape.heads, layer);
  const kvHeads = ofLayer(shape.kvHeads, layer);
  const length = shape.keyHeadLength;
  const projected = scope.project(layer, 'attn_q', normed);
  const both =
    shape.architecture === 'qwen3next' ? graph.reshape(projected, 2 * length, heads, tokens) : projected;
  const key = graph.reshape(scope.project(layer, 'attn_k', normed), length, kvHeads, tokens);
  const value = graph.reshape(scope.project(layer, 'attn_v', normed), length, kvHeads, tokens);
  const head = rowSize(TYPE.f32, 2 * length);
  const half = (): Tensor => graph.view3d(both, length, heads, tokens, head, head * heads);
  const query = norm(scope, layer, 'attn_q_norm.weight', half());
  const gate = graph.cont2d(half(), length * heads, tokens);
  const attended = attendToCache(
    scope,
    layer,
    {
      query: graph.rope(query, rotated),
      key: graph.rope(norm(scope, layer, 'attn_k_norm.weight', key), rotated),
      value,
    },
    cache,
    false,
  );
  const gated = graph.mul(attended, graph.unary(gate, UNARY.sigmoid));
  return scope.project(layer, 'attn_output', gated);
}

function qwenNetwork(scope: GraphScope, layer: number, normed: Tensor): Tensor {
  const { graph, shape } = scope;
  if (!isExpertLayer(shape, layer) || shape.experts === null) return network(scope, layer, normed);
  const routed = mixtureOfExperts(scope, layer, normed, shape.experts, {
    gating: 'softmax',
    normed: true,
    scaled: false,
  });
  if (shape.experts.shared === null) return routed;
  const shared = network(scope, layer, normed, 'silu', SHARED);
  const gate = graph.unary(graph.mulMat(scope.of(layer, 'ffn_gate_inp_shexp.weight'), normed), UNARY.sigmoid);
  return graph.add(routed, graph.mul(shared, gate));
}
