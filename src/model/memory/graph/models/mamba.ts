import type { RecurrentShape } from '../../../shape.ts';
import type { GraphScope } from '../graph-scope.ts';
import { OP, UNARY } from '../operations.ts';
import type { Tensor } from '../tensor-store.ts';
import { convolve, extendInputs, keepStates, readState, type StateInputs } from './states.ts';

type Mamba1 = Extract<RecurrentShape, { readonly kind: 'mamba1' }>;
type Mamba2 = Extract<RecurrentShape, { readonly kind: 'mamba2' }>;

/** `build_mamba_layer`, src/models/mamba-base.cpp. */
export function mamba1(
  scope: GraphScope,
  { innerLength, stateLength, timeStepRank }: Mamba1,
  inputs: StateInputs,
  layer: number,
  normed: Tensor,
): Tensor {
  const { graph, context, tokens } = scope;
  const { sequences } = context;
  const length = tokens / sequences;
  const weight = (name: string): Tensor => scope.of(layer, name);
  const convolution = readState(scope, inputs, layer, 'convolution');
  const rows = graph.reshape(normed, graph.ne(normed, 0), length, sequences);
  const both = graph.mulMat(weight('ssm_in.weight'), rows);
  const half = (): Tensor =>
    graph.view3d(both, innerLength, length, sequences, graph.nb(both, 1), graph.nb(both, 2));
  const projected = half();
  const gate = half();
  const joined = extendInputs(scope, layer, convolution, projected, true);
  const convolved = graph.unary(
    graph.add(convolve(scope, joined, weight('ssm_conv1d.weight')), weight('ssm_conv1d.bias')),
    UNARY.silu,
  );
  const parameters = graph.mulMat(weight('ssm_x.weight'), convolved);
  const [nb1, nb2] = [graph.nb(parameters, 1), graph.nb(parameters, 2)];
  const narrow = graph.view3d(parameters, timeStepRank, length, sequences, nb1, nb2);
  const part = (): Tensor =>
    graph.view4d(parameters, stateLength, 1, length, sequences, scope.row(stateLength), nb1, nb2);
  const [b, c] = [part(), part()];
  const norms = ['ssm_dt_norm.weight', 'ssm_b_norm.weight', 'ssm_c_norm.weight'].map(weight);
  const [stepNorm = -1, bNorm = -1, cNorm = -1] = norms;
  const isNormed = norms.every((each) => each >= 0);
  const step = isNormed ? scope.rmsNorm(narrow, stepNorm) : graph.cont(narrow);
  const read = isNormed ? scope.rmsNorm(b, bNorm) : b;
  const write = isNormed ? scope.rmsNorm(c, cNorm) : c;
  const steps = graph.add(graph.mulMat(weight('ssm_dt.weight'), step), weight('ssm_dt.bias'));
  const x = graph.reshape(convolved, 1, innerLength, length, sequences);
  const scanned = readState(scope, inputs, layer, 'memory', (states, ids) => {
    const state = graph.reshape(states, stateLength, 1, innerLength, sequences);
    return scan(scope, [state, x, steps, weight('ssm_a'), read, write, ids]);
  });
  keepMemory(scope, layer, scanned, stateLength * innerLength * sequences);
  const values = graph.view3d(scanned, innerLength, length, sequences, graph.nb(x, 2), graph.nb(x, 3));
  const sum = graph.add(values, graph.mul(convolved, weight('ssm_d')));
  const gated = graph.gluSplit(graph.cont(gate), sum);
  const result = graph.mulMat(weight('ssm_out.weight'), gated);
  return graph.reshape(result, graph.ne(result, 0), tokens);
}

/** `ggml_ssm_scan`: the values of all tokens, and behind them the new states. */
function scan(
  { graph, keptStates }: GraphScope,
  sources: readonly [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor],
): Tensor {
  const [state, x, , , , , ids] = sources;
  const states = graph.ne(state, 0) * graph.ne(state, 1) * graph.ne(state, 2) * graph.ne(ids, 0);
  return graph.operation(OP.ssmScan, [graph.elements(x) + keptStates * states], sources);
}

function keepMemory(scope: GraphScope, layer: number, scanned: Tensor, values: number): void {
  const { graph } = scope;
  graph.expand(graph.cpy(graph.view1d(scanned, values), graph.view1d(scope.state(layer, 'memory'), values)));
}

/** `build_mamba2_layer`, src/models/mamba-base.cpp. */
export function mamba2(
  scope: GraphScope,
  { innerLength, stateLength, groups, heads }: Mamba2,
  inputs: StateInputs,
  layer: number,
  normed: Tensor,
): Tensor {
  const { graph, context, tokens } = scope;
  const { sequences } = context;
  const length = tokens / sequences;
  const headLength = innerLength / heads;
  const weight = (name: string): Tensor => scope.of(layer, name);
  const convolution = readState(scope, inputs, layer, 'convolution');
  const flat = graph.mulMat(weight('ssm_in.weight'), normed);
  const all = graph.reshape(flat, graph.ne(flat, 0), length, sequences);
  const [nb1, nb2] = [graph.nb(all, 1), graph.nb(all, 2)];
  const gate = graph.view4d(all, headLength, heads, length, sequences, scope.row(headLength), nb1, nb2);
  const channels = innerLength + 2 * groups * stateLength;
  const projected = graph.view3d(all, channels, length, sequences, nb1, nb2);
  const narrow = graph.view3d(all, heads, length, sequences, nb1, nb2);
  const joined = extendInputs(scope, layer, convolution, projected, false);
  const convolved = graph.unary(
    graph.add(convolve(scope, joined, weight('ssm_conv1d.weight')), weight('ssm_conv1d.bias')),
    UNARY.silu,
  );
  const part = (count: number, partLength: number): Tensor =>
    graph.view4d(
      convolved,
      partLength,
      count,
      length,
      sequences,
      scope.row(partLength),
      graph.nb(convolved, 1),
      graph.nb(convolved, 2),
    );
  const x = part(heads, headLength);
  const [b, c] = [part(groups, stateLength), part(groups, stateLength)];
  const steps = graph.add(graph.cont(narrow), weight('ssm_dt.bias'));
  const scanned = readState(scope, inputs, layer, 'memory', (states, ids) => {
    const state = graph.reshape(states, stateLength, headLength, heads, sequences * scope.keptStates);
    return scan(scope, [state, x, steps, weight('ssm_a'), b, c, ids]);
  });
  keepStates(scope, layer, scanned, stateLength * innerLength);
  const nb = graph.nb(x, 1);
  const values = graph.view4d(
    scanned,
    headLength,
    heads,
    length,
    sequences,
    nb,
    heads * nb,
    length * heads * nb,
  );
  const sum = graph.add(values, graph.mul(x, weight('ssm_d')));
  let result = graph.gluSplit(graph.cont(gate), sum);
  const norm = weight('ssm_norm.weight');
  if (norm >= 0) {
    result = scope.rmsNorm(graph.reshape(result, innerLength / groups, groups, length, sequences), norm);
  }
  return graph.mulMat(weight('ssm_out.weight'), graph.reshape(result, innerLength, tokens));
}
