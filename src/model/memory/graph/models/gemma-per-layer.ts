import { isExpertLayer } from '../../../shape.ts';
import { isWindowed } from '../../kv-state.ts';
import { attendToCache, headLengths } from '../attention.ts';
import { mixtureOfExperts } from '../experts.ts';
import type { GraphScope } from '../graph-scope.ts';
import { cacheInputs, embeddings, outputRows, positions, type CacheInputs } from '../inputs.ts';
import { network } from '../network.ts';
import { OP, rowSize, TYPE, UNARY } from '../operations.ts';
import type { Tensor } from '../tensor-store.ts';

/** Copies of the residual stream of Gemma 3n (`n_altup`, src/llama-hparams.h). */
const STREAMS = 4;
/** Layers at the start whose gates are cut to the largest (`n_layer_sparsity`, src/models/models.h). */
export const SPARSE_LAYERS = 10;

interface GemmaInputs {
  readonly full: CacheInputs;
  readonly window: CacheInputs;
  readonly positions: Tensor;
  /** Each layer's part of what the second table says of the tokens; -1: the model has no such table. */
  readonly perLayer: Tensor;
}

function gemmaInputs(scope: GraphScope, stream: Tensor): GemmaInputs {
  const at = positions(scope);
  const [full, window] = [cacheInputs(scope), cacheInputs(scope, 'window')];
  return { full, window, positions: at, perLayer: perLayerInputs(scope, stream) };
}

/** `build_inp_per_layer` and `project_per_layer_inputs`, src/models/gemma3n.cpp and gemma4.cpp. */
function perLayerInputs(scope: GraphScope, stream: Tensor): Tensor {
  const { graph, shape, tokens } = scope;
  const table = scope.weight('per_layer_token_embd.weight');
  const length = shape.perLayerEmbeddingLength ?? 0;
  if (table < 0) return -1;
  const rows = graph.getRows(table, graph.input(TYPE.i32, tokens));
  const looked = graph.scale(graph.reshape(rows, length, shape.layers, tokens));
  graph.expand(looked);
  const projected = graph.scale(graph.mulMat(scope.weight('per_layer_model_proj.weight'), stream));
  const normed = scope.rmsNorm(
    graph.reshape(projected, length, shape.layers, tokens),
    scope.weight('per_layer_proj_norm.weight'),
  );
  const sum = graph.scale(graph.add(normed, looked));
  return graph.cont(graph.permute(sum, 0, 2, 1, 3));
}

/** A plane of a tensor (`gemma4_view_2d_slice`). */
const slice = ({ graph }: GraphScope, a: Tensor): Tensor =>
  graph.view2d(a, graph.ne(a, 0), graph.ne(a, 1), rowSize(TYPE.f32, graph.ne(a, 0)));

const normOf = (scope: GraphScope, layer: number, name: string, a: Tensor): Tensor =>
  scope.rmsNorm(a, scope.weightOf(layer, name));

/** Attention, of which values are normed too; layers at the end read the cache of an earlier one. */
function attention(
  scope: GraphScope,
  layer: number,
  normed: Tensor,
  inputs: GemmaInputs,
  factors: Tensor,
): Tensor {
  const { graph, shape, tokens } = scope;
  const { heads, kvHeads, key: keyLength, value: valueLength } = headLengths(scope, layer);
  const part = (rows: Tensor, length: number, count: number): Tensor =>
    graph.reshape(rows, length, count, tokens);
  let query = part(scope.project(layer, 'attn_q', normed), keyLength, heads);
  query = graph.rope(normOf(scope, layer, 'attn_q_norm', query), inputs.positions, factors);
  let key = -1;
  let value = -1;
  if (layer < shape.layers - shape.sharedKvLayers) {
    const keys = scope.project(layer, 'attn_k', normed);
    const values = scope.of(layer, 'attn_v.weight') < 0 ? keys : scope.project(layer, 'attn_v', normed);
    key = normOf(scope, layer, 'attn_k_norm', part(keys, keyLength, kvHeads));
    key = graph.rope(key, inputs.positions, factors);
    value = graph.rmsNorm(part(values, valueLength, kvHeads));
  }
  const cache = isWindowed(shape, layer) ? inputs.window : inputs.full;
  const result = attendToCache(scope, layer, { query, key, value }, cache, true);
  return scope.project(layer, 'attn_output', result);
}

/** Bent by a hyperbolic tangent (`f_final_logit_softcapping`). */
const capped = ({ graph }: GraphScope, logits: Tensor): Tensor =>
  graph.scale(graph.unary(graph.scale(logits)));

/** src/models/gemma4.cpp. */
export function gemma4(scope: GraphScope, layers: readonly number[]): void {
  const { graph, shape } = scope;
  let stream = graph.scale(embeddings(scope));
  const inputs = gemmaInputs(scope, stream);
  const outputs = outputRows(scope);
  for (const layer of layers) {
    const factors = isWindowed(shape, layer) ? -1 : scope.repeated(layer, 'rope_freqs.weight');
    let attended = attention(scope, layer, normOf(scope, layer, 'attn_norm', stream), inputs, factors);
    attended = graph.add(normOf(scope, layer, 'post_attention_norm', attended), stream);
    const update = isExpertLayer(shape, layer)
      ? networkAndExperts(scope, layer, attended)
      : network(scope, layer, normOf(scope, layer, 'ffn_norm', attended), 'gelu');
    stream = graph.add(normOf(scope, layer, 'post_ffw_norm', update), attended);
    if (inputs.perLayer >= 0) stream = graph.add(stream, layerInput(scope, layer, stream, inputs.perLayer));
    const scale = scope.of(layer, 'layer_output_scale.weight');
    if (scale >= 0) stream = graph.mul(stream, scale);
  }
  const normed = scope.rmsNorm(stream, scope.weight('output_norm.weight'));
  graph.setOutput(normed);
  const chosen = graph.getRows(normed, outputs);
  graph.setOutput(chosen);
  const logits = capped(scope, graph.mulMat(scope.head(), chosen));
  graph.setOutput(logits);
  graph.expand(logits);
}

/** What a layer makes of its own embedding of the tokens. */
function layerInput(scope: GraphScope, layer: number, stream: Tensor, perLayer: Tensor): Tensor {
  const { graph } = scope;
  const gate = graph.unary(scope.project(layer, 'inp_gate', stream), UNARY.gelu);
  const projected = scope.project(layer, 'proj', graph.mul(gate, slice(scope, perLayer)));
  return normOf(scope, layer, 'post_norm', projected);
}

/** The experts work beside the dense network, and the router on a norm of its own. */
function networkAndExperts(scope: GraphScope, layer: number, attended: Tensor): Tensor {
  const { graph, shape } = scope;
  if (shape.experts === null) throw new RangeError(`layer ${layer} of ${shape.id} has no experts`);
  let dense = network(scope, layer, normOf(scope, layer, 'ffn_norm', attended), 'gelu');
  dense = normOf(scope, layer, 'post_ffw_norm_1', dense);
  const input = normOf(scope, layer, 'pre_ffw_norm_2', attended);
  const routed = graph.mul(graph.scale(graph.rmsNorm(attended)), scope.of(layer, 'ffn_gate_inp.scale'));
  const mixed = mixtureOfExperts(scope, layer, input, shape.experts, {
    gating: 'softmax',
    normed: true,
    scaled: false,
    activation: 'gelu',
    scores: graph.mulMat(scope.of(layer, 'ffn_gate_inp.weight'), routed),
  });
  return graph.add(dense, normOf(scope, layer, 'post_ffw_norm_2', mixed));
}

/** src/models/gemma3n.cpp: four copies of the stream, of which one is computed with. */
export function gemma3n(scope: GraphScope, layers: readonly number[]): void {
  const { graph, shape, tokens } = scope;
  const width = shape.embeddingLength;
  const stream = graph.scale(embeddings(scope));
  const inputs = gemmaInputs(scope, stream);
  const outputs = outputRows(scope);
  const magnitude = lengthOf(scope, stream);
  const repeated = graph.repeat4d(stream, width, tokens, STREAMS - 1, 1);
  const others = graph.mulMat(scope.weight('altup_proj.weight'), repeated);
  let copies = graph.concat(stream, resized(scope, others, magnitude), 2);
  for (const layer of layers) copies = streamsLayer(scope, layer, copies, inputs);
  const target = lengthOf(scope, slice(scope, copies));
  const folded = graph.mulMat(scope.weight('altup_unembd_proj.weight'), otherStreams(scope, copies));
  const back = resized(scope, folded, target);
  let sum = slice(scope, copies);
  for (let index = 1; index < STREAMS; index += 1) sum = graph.add(sum, slice(scope, back));
  const chosen = graph.getRows(graph.scale(sum), outputs);
  const normed = scope.rmsNorm(chosen, scope.weight('output_norm.weight'));
  graph.setOutput(normed);
  const logits = capped(scope, graph.mulMat(scope.head(), normed));
  graph.setOutput(logits);
  graph.expand(logits);
}

/** `calc_magnitude`. */
const lengthOf = ({ graph }: GraphScope, a: Tensor): Tensor =>
  graph.sameLengths(OP.sqrt, graph.sumRows(graph.sameLengths(OP.sqr, a)));

const resized = (scope: GraphScope, a: Tensor, to: Tensor): Tensor => {
  const own = lengthOf(scope, a);
  return scope.graph.div(scope.graph.mul(a, to), own);
};

/** All copies but the first. */
function otherStreams({ graph, shape, tokens }: GraphScope, copies: Tensor): Tensor {
  const width = shape.embeddingLength;
  const row = rowSize(TYPE.f32, width);
  return graph.view3d(copies, width, tokens, STREAMS - 1, row, row * tokens);
}

function streamsLayer(scope: GraphScope, layer: number, copies: Tensor, inputs: GemmaInputs): Tensor {
  const { graph } = scope;
  const predictions = predict(scope, layer, copies);
  const active = slice(scope, predictions);
  const normed = normOf(scope, layer, 'attn_norm', active);
  const laurel = learnedResidual(scope, layer, normed);
  let attended = attention(scope, layer, normed, inputs, -1);
  attended = graph.add(normOf(scope, layer, 'post_attention_norm', attended), active);
  const both = graph.scale(graph.add(attended, laurel));
  const input = normOf(scope, layer, 'ffn_norm', both);
  const up = scope.project(layer, 'ffn_up', input);
  let gate = scope.project(layer, 'ffn_gate', input);
  if (layer < SPARSE_LAYERS) gate = largest(scope, gate);
  const hidden = graph.mul(up, graph.unary(gate, UNARY.gelu));
  const update = normOf(scope, layer, 'post_ffw_norm', scope.project(layer, 'ffn_down', hidden));
  const corrected = correct(scope, layer, predictions, graph.add(update, both));
  const first = graph.mul(slice(scope, corrected), scope.of(layer, 'altup_correct_scale.weight'));
  const added = layerInput(scope, layer, first, inputs.perLayer);
  return graph.concat(slice(scope, corrected), graph.add(otherStreams(scope, corrected), added), 2);
}

function learnedResidual(scope: GraphScope, layer: number, normed: Tensor): Tensor {
  const projected = scope.project(layer, 'laurel_r', scope.project(layer, 'laurel_l', normed));
  return scope.graph.add(normOf(scope, layer, 'laurel_post_norm', projected), normed);
}

/** `gaussian_topk`: what is a number of standard deviations above the mean. */
function largest({ graph }: GraphScope, a: Tensor): Tensor {
  const mean = graph.sumRows(a, OP.mean);
  const squares = graph.sameLengths(OP.sqr, graph.sameLengths(OP.sub, a, mean));
  const deviation = graph.sameLengths(OP.sqrt, graph.scale(graph.sumRows(squares)));
  const cut = graph.add(mean, graph.scale(deviation));
  return graph.unary(graph.sameLengths(OP.sub, a, cut));
}

/** `altup_compute_router_modalities`. */
function modalities(scope: GraphScope, layer: number, a: Tensor): Tensor {
  const { graph } = scope;
  const normed = graph.scale(normOf(scope, layer, 'altup_router_norm', a));
  return graph.unary(graph.mulMat(scope.of(layer, 'altup_router.weight'), normed));
}

/** `altup_predict`. */
function predict(scope: GraphScope, layer: number, copies: Tensor): Tensor {
  const { graph, tokens } = scope;
  const mixed = modalities(scope, layer, slice(scope, copies));
  const factors = graph.reshape(
    graph.mulMat(scope.of(layer, 'altup_predict_coef.weight'), mixed),
    STREAMS,
    STREAMS,
    tokens,
  );
  const turned = graph.cont(graph.permute(copies, 1, 2, 0, 3));
  const predicted = graph.cont(graph.permute(graph.mulMat(turned, factors), 0, 2, 1, 3));
  return graph.add(predicted, copies);
}

/** `altup_correct`. */
function correct(scope: GraphScope, layer: number, predictions: Tensor, activated: Tensor): Tensor {
  const { graph, shape, tokens } = scope;
  const mixed = modalities(scope, layer, activated);
  const news = graph.sameLengths(OP.sub, activated, slice(scope, predictions));
  const factors = graph.scale(graph.mulMat(scope.of(layer, 'altup_correct_coef.weight'), mixed));
  const turned = graph.cont3d(graph.transpose(factors), 1, tokens, STREAMS);
  const repeated = graph.repeat4d(news, shape.embeddingLength, tokens, STREAMS, 1);
  return graph.add(graph.mul(repeated, turned), predictions);
}
