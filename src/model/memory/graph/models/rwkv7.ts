import type { GraphScope } from '../graph-scope.ts';
import { embeddings, outputRows } from '../inputs.ts';
import { OP, UNARY } from '../operations.ts';
import type { Tensor } from '../tensor-store.ts';
import { readState, stateInputs, type StateInputs } from './states.ts';

/** RWKV 7: src/models/rwkv7.cpp and rwkv7-base.cpp. */
export function rwkv7(scope: GraphScope, layers: readonly number[]): void {
  const { graph, shape, context, tokens } = scope;
  const width = shape.embeddingLength;
  const { sequences } = context;
  const length = tokens / sequences;
  const norm = (layer: number, name: string, a: Tensor): Tensor =>
    scope.layerNorm(a, scope.weightOf(layer, name), scope.biasOf(layer, name));
  let stream = scope.layerNorm(
    embeddings(scope),
    scope.weight('token_embd_norm.weight'),
    scope.weight('token_embd_norm.bias'),
  );
  const states = stateInputs(scope);
  const outputs = outputRows(scope);
  let firstValue: Tensor | null = null;
  layers.forEach((layer, index) => {
    const input = graph.reshape(stream, width, length, sequences);
    const shifts = graph.reshape(readState(scope, states, layer, 'convolution'), width, 2, sequences);
    const shift = (): Tensor =>
      graph.view3d(shifts, width, 1, sequences, graph.nb(shifts, 1), graph.nb(shifts, 2));
    const [mixShift, networkShift] = [shift(), shift()];
    const mixNorm = norm(layer, 'attn_norm', input);
    const part = (a: Tensor, count: number): Tensor =>
      graph.view3d(a, width, count, sequences, graph.nb(a, 1), graph.nb(a, 2));
    const previous = graph.concat(mixShift, part(mixNorm, length - 1), 1);
    const mixed = timeMix(scope, states, layer, mixNorm, previous, firstValue);
    firstValue ??= mixed.value;
    const sum = graph.add(mixed.result, input);
    const networkNorm = norm(layer, 'attn_norm_2', sum);
    const before = graph.concat(networkShift, part(networkNorm, length - 1), 1);
    const kept = graph.concat(part(mixNorm, 1), part(networkNorm, 1), 1);
    const values = width * sequences * 2;
    graph.expand(
      graph.cpy(graph.view1d(kept, values), graph.view1d(scope.state(layer, 'convolution'), values)),
    );
    const flat = (a: Tensor): Tensor => graph.reshape(a, width, tokens);
    const chosen = (a: Tensor): Tensor =>
      index === layers.length - 1 ? graph.getRows(flat(a), outputs) : flat(a);
    const [residual, read, last] = [chosen(sum), chosen(networkNorm), chosen(before)];
    stream = graph.add(channelMix(scope, layer, read, last), residual);
  });
  const normed = scope.layerNorm(
    stream,
    scope.weight('output_norm.weight'),
    scope.weight('output_norm.bias'),
  );
  graph.setOutput(normed);
  const logits = graph.mulMat(scope.head(), normed);
  graph.setOutput(logits);
  graph.expand(logits);
}

/** `build_rwkv7_channel_mix`. */
function channelMix(scope: GraphScope, layer: number, read: Tensor, previous: Tensor): Tensor {
  const { graph } = scope;
  const weight = (name: string): Tensor => scope.of(layer, `channel_mix_${name}.weight`);
  const mixed = graph.add(graph.mul(graph.sameLengths(OP.sub, previous, read), weight('lerp_k')), read);
  const active = graph.unary(graph.mulMat(weight('key'), mixed));
  return graph.mulMat(weight('value'), graph.sameLengths(OP.sqr, active));
}

/** `build_rwkv7_time_mix`. @param firstValue - of the first layer, which the others mix in; null in the first. */
function timeMix(
  scope: GraphScope,
  states: StateInputs,
  layer: number,
  normed: Tensor,
  previous: Tensor,
  firstValue: Tensor | null,
): { readonly result: Tensor; readonly value: Tensor } {
  const { graph, shape, context, tokens } = scope;
  const { recurrent, embeddingLength: width } = shape;
  if (recurrent?.kind !== 'rwkv7') throw new RangeError(`${shape.id} has no RWKV`);
  const { headLength } = recurrent;
  const { sequences } = context;
  const length = tokens / sequences;
  const heads = width / headLength;
  const weight = (name: string): Tensor => scope.of(layer, `time_mix_${name}.weight`);
  const gates = weight('g1') >= 0 && weight('g2') >= 0;
  const difference = graph.sameLengths(OP.sub, previous, normed);
  const repeated = graph.repeat4d(difference, width, length, sequences, gates ? 6 : 5);
  const all = graph.add(graph.mul(repeated, weight('lerp_fused')), normed);
  const part = (): Tensor => graph.view2d(all, width, tokens, graph.nb(all, 1));
  const [xr, xw, xk, xv, xa, xg] = [part(), part(), part(), part(), part(), part()];
  const low = (second: string, first: string, x: Tensor): Tensor =>
    graph.mulMat(weight(second), graph.mulMat(weight(first), x));
  let r = graph.mulMat(weight('receptance'), xr);
  const narrow = graph.unary(graph.mulMat(weight('w1'), xw));
  const decays = graph.add(graph.mulMat(weight('w2'), narrow), weight('w0'));
  let w = graph.unary(graph.scale(graph.unary(decays, UNARY.sigmoid)));
  let k = graph.mulMat(weight('key'), xk);
  let v = graph.mulMat(weight('value'), xv);
  const value = v;
  if (firstValue !== null) {
    const share = graph.unary(graph.add(low('v2', 'v1', xv), weight('v0')), UNARY.sigmoid);
    v = graph.add(v, graph.mul(graph.sameLengths(OP.sub, firstValue, v), share));
  }
  const g = gates
    ? graph.mulMat(weight('g2'), graph.unary(graph.mulMat(weight('g1'), xg), UNARY.sigmoid))
    : -1;
  let a = graph.unary(graph.add(low('a2', 'a1', xa), weight('a0')), UNARY.sigmoid);
  const byHeads = (each: Tensor): Tensor => graph.reshape(each, headLength, heads, tokens);
  const unit = graph.sameLengths(OP.l2Norm, byHeads(graph.mul(k, weight('k_k'))));
  const ka = graph.mul(k, weight('k_a'));
  k = graph.add(k, graph.sameLengths(OP.sub, graph.mul(a, ka), ka));
  r = byHeads(r);
  w = byHeads(w);
  k = byHeads(k);
  v = byHeads(v);
  a = byHeads(a);
  const state = readState(scope, states, layer, 'memory');
  const scanned = graph.operation(
    OP.rwkvWkv7,
    [width, tokens + headLength * sequences],
    [r, w, k, v, graph.unary(unit), graph.mul(unit, a), state],
  );
  const values = graph.view1d(scanned, width * tokens);
  const memory = width * headLength * sequences;
  graph.expand(graph.cpy(graph.view1d(scanned, memory), graph.view1d(scope.state(layer, 'memory'), memory)));
  let result = graph.sameLengths(OP.norm, byHeads(values));
  result = graph.reshape(result, width, tokens);
  result = graph.add(graph.mul(result, weight('ln')), scope.of(layer, 'time_mix_ln.bias'));
  const factors = graph.reshape(weight('r_k'), headLength, heads);
  const rk = graph.sumRows(graph.mul(graph.mul(k, r), factors));
  result = graph.add(result, graph.reshape(graph.mul(v, rk), width, tokens));
  if (g >= 0) result = graph.mul(result, g);
  const projected = graph.mulMat(weight('output'), result);
  return { result: graph.reshape(projected, width, length, sequences), value };
}
