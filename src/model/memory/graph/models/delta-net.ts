import type { RecurrentShape } from '../../../shape.ts';
import type { GraphScope } from '../graph-scope.ts';
import { OP, UNARY } from '../operations.ts';
import type { Tensor } from '../tensor-store.ts';
import { convolve, extendInputs, keepStates, readState, type StateInputs } from './states.ts';

type GatedDeltaNet = Extract<RecurrentShape, { readonly kind: 'gated-delta-net' }>;
type KimiDelta = Extract<RecurrentShape, { readonly kind: 'kimi-delta' }>;

/** `build_gdn_l2_norm`, src/models/models.h. */
const unitNorm = ({ graph }: GraphScope, a: Tensor): Tensor => graph.scale(graph.rmsNorm(a));

/** What the scan of a delta net reads beside its state. */
interface DeltaSources {
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
  readonly decay: Tensor;
  readonly beta: Tensor;
  readonly state: Tensor;
}

/**
 * `build_delta_net_fused`, src/models/delta-net-base.cpp: the values of all tokens, and behind them the new states, which
 * are kept.
 * @param flat - the states are written as one row, not as one for each sequence.
 */
function scan(scope: GraphScope, layer: number, sources: DeltaSources, flat: boolean): Tensor {
  const { graph } = scope;
  const { query, key, value, decay, beta, state } = sources;
  const [length, heads, tokens, sequences] = [0, 1, 2, 3].map((each) => graph.ne(value, each)) as [
    number,
    number,
    number,
    number,
  ];
  const rows = tokens * sequences + scope.keptStates * length * sequences;
  const result = graph.operation(
    OP.gatedDeltaNet,
    [length * heads, rows],
    [query, key, value, decay, beta, state],
  );
  const strides = [length, length * heads, length * heads * tokens].map((each) => scope.row(each));
  const output = graph.view4d(
    result,
    length,
    heads,
    tokens,
    sequences,
    ...(strides as [number, number, number]),
  );
  const memory = length * length * heads;
  if (scope.keptStates > 1) {
    keepStates(scope, layer, result, memory);
    return output;
  }
  const after = graph.view4d(
    result,
    length,
    length,
    heads,
    sequences,
    scope.row(length),
    scope.row(length * length),
    scope.row(memory),
  );
  const all = scope.state(layer, 'memory');
  const place = flat
    ? graph.view1d(all, memory * sequences)
    : graph.view2d(all, memory, sequences, graph.nb(all, 1));
  graph.expand(graph.cpy(after, place));
  return output;
}

/** `build_layer_attn_linear`, src/models/qwen35.cpp and qwen3next.cpp. */
export function gatedDeltaNet(
  scope: GraphScope,
  { innerLength, groups, stateLength, heads }: GatedDeltaNet,
  inputs: StateInputs,
  layer: number,
  normed: Tensor,
): Tensor {
  const { graph, context, tokens } = scope;
  const { sequences } = context;
  const length = tokens / sequences;
  const headLength = innerLength / heads;
  const weight = (name: string): Tensor => scope.of(layer, name);
  const flat = graph.mulMat(weight('attn_qkv.weight'), normed);
  const mixed = graph.reshape(flat, graph.ne(flat, 0), length, sequences);
  const z = graph.mulMat(weight('attn_gate.weight'), normed);
  const { alpha, beta } = factors(scope, groups, heads, layer, normed);
  const steps = graph.unary(graph.add(alpha, weight('ssm_dt.bias')), UNARY.softplus);
  const decay = graph.reshape(graph.mul(steps, weight('ssm_a')), 1, heads, length, sequences);
  const convolution = readState(scope, inputs, layer, 'convolution');
  const joined = extendInputs(scope, layer, convolution, mixed, false);
  const memory = readState(scope, inputs, layer, 'memory');
  const state = graph.reshape(memory, headLength, headLength, heads, sequences);
  const convolved = graph.unary(convolve(scope, joined, weight('ssm_conv1d.weight')), UNARY.silu);
  const stride = scope.row(2 * stateLength * groups + headLength * heads);
  const part = (partLength: number, count: number): Tensor =>
    graph.view4d(
      convolved,
      partLength,
      count,
      length,
      sequences,
      scope.row(partLength),
      stride,
      stride * length,
    );
  const repeats = scope.shape.architecture === 'qwen3next' && groups !== heads;
  const normedHeads = (): Tensor => {
    const own = unitNorm(scope, part(stateLength, groups));
    if (!repeats) return own;
    const apart = graph.reshape(own, stateLength, 1, groups, tokens);
    const repeated = graph.repeat4d(apart, stateLength, heads / groups, groups, tokens);
    return graph.reshape(repeated, stateLength, heads, length, sequences);
  };
  const query = normedHeads();
  const key = normedHeads();
  const value = part(headLength, heads);
  const output = scan(scope, layer, { query, key, value, decay, beta, state }, false);
  const gate = graph.reshape(z, headLength, heads, length, sequences);
  const gated = graph.mul(scope.rmsNorm(output, weight('ssm_norm.weight')), graph.unary(gate, UNARY.silu));
  const whole = graph.reshape(gated, headLength * heads, length, sequences);
  return graph.reshape(graph.mulMat(weight('ssm_out.weight'), whole), scope.shape.embeddingLength, tokens);
}

/** The gates of a delta net, from two weights or, in Qwen3 Next, from one. */
function factors(
  scope: GraphScope,
  groups: number,
  heads: number,
  layer: number,
  normed: Tensor,
): { readonly alpha: Tensor; readonly beta: Tensor } {
  const { graph, context, tokens } = scope;
  const { sequences } = context;
  const length = tokens / sequences;
  const both = scope.of(layer, 'ssm_ba.weight');
  if (both >= 0) {
    const size = heads / groups;
    const mixed = graph.reshape(graph.mulMat(both, normed), 2 * size, groups, length, sequences);
    const [nb1, nb2, nb3] = [graph.nb(mixed, 1), graph.nb(mixed, 2), graph.nb(mixed, 3)];
    const half = (): Tensor => graph.view4d(mixed, size, groups, length, sequences, nb1, nb2, nb3);
    const b = graph.unary(graph.cont(half()), UNARY.sigmoid);
    const a = graph.operation(OP.cont, [heads, length, sequences], [half()]);
    return { alpha: a, beta: graph.reshape(b, 1, heads, length, sequences) };
  }
  const b = graph.mulMat(scope.of(layer, 'ssm_beta.weight'), normed);
  const a = graph.mulMat(scope.of(layer, 'ssm_alpha.weight'), normed);
  return {
    beta: graph.unary(graph.reshape(b, 1, heads, length, sequences), UNARY.sigmoid),
    alpha: graph.reshape(a, heads, length, sequences),
  };
}

/** `build_kda_layer` of src/models/kimi-k3.cpp, and the same in kimi-linear.cpp. */
export function kimiDelta(
  scope: GraphScope,
  { heads, headLength, convWidth }: KimiDelta,
  inputs: StateInputs,
  layer: number,
  normed: Tensor,
): Tensor {
  const { graph, context, tokens, shape } = scope;
  const { sequences } = context;
  const length = tokens / sequences;
  const inner = heads * headLength;
  const isK3 = shape.architecture === 'kimi-k3';
  const weight = (name: string): Tensor => scope.of(layer, name);
  const convolution = readState(scope, inputs, layer, 'convolution');
  const kept = convWidth - 1;
  const [query, key, value] = ['q', 'k', 'v'].map((name) => {
    const strides = [scope.row(kept), scope.row(3 * kept * inner)] as const;
    const state = graph.view3d(convolution, kept, inner, sequences, ...strides);
    const projected = graph.mulMat(weight(`attn_${name}.weight`), normed);
    const rows = graph.reshape(projected, inner, length, sequences);
    const joined = graph.concat(state, graph.transpose(rows), 0);
    const last = graph.view3d(joined, kept, inner, sequences, graph.nb(joined, 1), graph.nb(joined, 2));
    const place = graph.view3d(scope.state(layer, 'convolution'), kept, inner, sequences, ...strides);
    graph.expand(graph.cpy(last, place));
    const kernel = graph.reshape(weight(`ssm_conv1d_${name}.weight`), convWidth, inner);
    const convolved = graph.reshape(convolve(scope, joined, kernel), inner, tokens);
    return graph.reshape(graph.unary(convolved, UNARY.silu), headLength, heads, length, sequences);
  }) as [Tensor, Tensor, Tensor];
  const narrow = graph.mulMat(weight('ssm_f_a.weight'), normed);
  const raw = graph.add(graph.mulMat(weight('ssm_f_b.weight'), narrow), weight('ssm_dt.bias'));
  const a = graph.reshape(weight('ssm_a'), 1, heads, 1);
  const decays = isK3
    ? graph.scale(
        graph.unary(graph.scale(graph.mul(graph.reshape(raw, headLength, heads, tokens), a)), UNARY.sigmoid),
      )
    : graph.mul(graph.reshape(graph.unary(raw, UNARY.softplus), headLength, heads, tokens), a);
  const decay = graph.reshape(decays, headLength, heads, length, sequences);
  const scores = graph.mulMat(weight('ssm_beta.weight'), normed);
  const beta = graph.unary(graph.reshape(scores, 1, heads, length, sequences), UNARY.sigmoid);
  const rows = graph.reshape(normed, graph.ne(normed, 0), length, sequences);
  const memory = readState(scope, inputs, layer, 'memory');
  const state = graph.reshape(memory, headLength, headLength, heads, sequences);
  const sources = { query: unitNorm(scope, query), key: unitNorm(scope, key), value, decay, beta, state };
  const output = graph.cont(scan(scope, layer, sources, !isK3));
  const again = graph.reshape(rows, graph.ne(rows, 0), tokens);
  const wide = isK3
    ? graph.mulMat(weight('ssm_g.weight'), again)
    : graph.mulMat(weight('ssm_g_b.weight'), graph.mulMat(weight('ssm_g_a.weight'), again));
  const gate = graph.reshape(wide, headLength, heads, tokens);
  const result = scope.rmsNorm(graph.reshape(output, headLength, heads, tokens), weight('ssm_norm.weight'));
  const gated = graph.mul(result, graph.unary(gate, UNARY.sigmoid));
  return graph.mulMat(weight('attn_output.weight'), graph.cont2d(gated, inner, tokens));
}
