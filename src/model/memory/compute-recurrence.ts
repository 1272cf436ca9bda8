import { isRecurrentLayer, type ModelShape } from '../shape.ts';
import { FLOAT } from './compute-graph.ts';
import type { LayerScope } from './compute-layers.ts';
import type { NodeId } from './graph-allocator.ts';
import { stateLengths } from './recurrent-state.ts';

type Recurrent = NonNullable<ModelShape['recurrent']>;
type RecurrentOf<K extends Recurrent['kind']> = Extract<Recurrent, { readonly kind: K }>;

/**
 * A recurrent layer's own part.
 * @param beforeOutput - what the engine computes between the recurrence and its projection: where attention runs beside
 *   it, that of attention.
 */
export function recurrence(
  scope: LayerScope,
  layer: number,
  normed: NodeId,
  beforeOutput: () => void = () => undefined,
): NodeId {
  const { shape } = scope;
  const { recurrent } = shape;
  if (recurrent === null || !isRecurrentLayer(shape, layer)) {
    throw new RangeError(`layer ${layer} of ${shape.id} is not recurrent`);
  }
  switch (recurrent.kind) {
    case 'gated-delta-net':
      return gatedDeltaNet(scope, recurrent, normed);
    case 'mamba1':
      return mamba1(scope, recurrent, normed);
    case 'mamba2':
      return mamba2(scope, recurrent, normed, beforeOutput);
    case 'kimi-delta':
      return kimiDelta(scope, recurrent, normed);
    case 'short-convolution':
      return shortConvolution(scope, recurrent, normed);
    case 'rwkv7':
      return timeMix(scope, normed);
  }
}

/**
 * A copy of the sequences' states, which the engine expands at once (`build_rs`, src/llama-graph.cpp); of the states of
 * other sequences there are none, and their copy is empty.
 */
function copyState({ graph, context }: LayerScope, values: number): NodeId {
  return graph.ahead(() => {
    const copy = graph.tensor(values * context.sequences * FLOAT, []);
    graph.empty();
    return copy;
  });
}

/** The state of the convolution before what goes into it; the end of both is written back. */
function joinState(
  { graph, context }: LayerScope,
  state: NodeId,
  input: NodeId,
  channels: number,
  width: number,
): NodeId {
  const rows = graph.tokens + context.sequences * (width - 1);
  const joined = graph.tensor(rows * channels * FLOAT, [state, input]);
  graph.use([joined]);
  graph.expand();
  return joined;
}

/** Bytes of a scan's result: the new states behind the values of all tokens. */
const scanBytes = ({ graph, shape, context }: LayerScope, width: number): number =>
  (width * graph.tokens + stateLengths(shape).memory * context.sequences) * FLOAT;

/** `build_layer_attn_linear`, src/models/qwen35.cpp. */
function gatedDeltaNet(scope: LayerScope, recurrent: RecurrentOf<'gated-delta-net'>, normed: NodeId): NodeId {
  const { graph, shape } = scope;
  const { innerLength, groups, stateLength, heads, convWidth } = recurrent;
  const lengths = stateLengths(shape);
  graph.expand();
  const channels = innerLength + 2 * groups * stateLength;
  const convolution = copyState(scope, lengths.convolution);
  const mixed = graph.row(channels, [normed]);
  const joined = joinState(scope, convolution, mixed, channels, convWidth);
  const memory = copyState(scope, lengths.memory);
  const convolved = graph.inPlace([graph.row(channels, [joined])]);
  const query = graph.row(groups * stateLength, [convolved]);
  const key = graph.row(groups * stateLength, [convolved]);
  const decay = graph.row(heads, [graph.row(heads, [normed])]);
  const beta = graph.row(heads, [graph.row(heads, [normed])]);
  const result = graph.tensor(scanBytes(scope, innerLength), [query, key, convolved, decay, beta, memory]);
  graph.expand();
  const normedResult = graph.row(innerLength, [result]);
  // The gate is a view of heads when it is activated.
  const gate = graph.row(innerLength, [graph.row(innerLength, [normed])]);
  return graph.row(shape.embeddingLength, [graph.inPlace([normedResult, gate])]);
}

/** `build_mamba_layer`, src/models/mamba-base.cpp. */
function mamba1(scope: LayerScope, recurrent: RecurrentOf<'mamba1'>, normed: NodeId): NodeId {
  const { graph, shape } = scope;
  const { innerLength, convWidth, timeStepRank, stateLength } = recurrent;
  const convolution = copyState(scope, stateLengths(shape).convolution);
  const projected = graph.row(2 * innerLength, [normed]);
  const joined = joinState(scope, convolution, projected, innerLength, convWidth);
  const convolved = graph.inPlace([graph.row(innerLength, [joined])]);
  const parameters = graph.row(timeStepRank + 2 * stateLength, [convolved]);
  const step = graph.row(innerLength, [graph.row(timeStepRank, [parameters])]);
  const scanned = graph.tensor(scanBytes(scope, innerLength), [convolved, step, parameters]);
  graph.empty();
  graph.use([scanned]);
  graph.expand();
  const gate = graph.row(innerLength, [projected]);
  const sum = graph.inPlace([graph.inPlace([convolved])], [scanned]);
  return graph.row(shape.embeddingLength, [graph.row(innerLength, [gate, sum])]);
}

/** Architectures that leave out the norm of Mamba 2's result (`ssm_norm`, src/models/falcon-h1.cpp). */
const LEAVES_RESULT: ReadonlySet<string> = new Set(['falcon-h1']);

/** `build_mamba2_layer`, src/models/mamba-base.cpp. */
function mamba2(
  scope: LayerScope,
  recurrent: RecurrentOf<'mamba2'>,
  normed: NodeId,
  beforeOutput: () => void,
): NodeId {
  const { graph, shape } = scope;
  const { innerLength, convWidth, groups, stateLength, heads } = recurrent;
  const channels = innerLength + 2 * groups * stateLength;
  const convolution = copyState(scope, stateLengths(shape).convolution);
  const projected = graph.row(innerLength + channels + heads, [normed]);
  const joined = joinState(scope, convolution, projected, channels, convWidth);
  const convolved = graph.inPlace([graph.row(channels, [joined])]);
  const step = graph.row(heads, [projected]);
  const scanned = graph.tensor(scanBytes(scope, innerLength), [convolved, step]);
  graph.empty();
  graph.use([scanned]);
  graph.expand();
  beforeOutput();
  const gate = graph.row(innerLength, [projected]);
  const sum = graph.inPlace([graph.row(innerLength, [convolved])], [scanned]);
  const gated = graph.row(innerLength, [gate, sum]);
  const result = LEAVES_RESULT.has(shape.architecture) ? gated : graph.row(innerLength, [gated]);
  return graph.row(shape.embeddingLength, [result]);
}

/** `build_kda_layer`, src/models/kimi-linear.cpp and kimi-k3.cpp. */
function kimiDelta(scope: LayerScope, recurrent: RecurrentOf<'kimi-delta'>, normed: NodeId): NodeId {
  const { graph, shape } = scope;
  const { heads, headLength, convWidth } = recurrent;
  const lengths = stateLengths(shape);
  const inner = heads * headLength;
  graph.expand();
  const convolution = copyState(scope, lengths.convolution);
  const joined = [0, 1, 2].map(() =>
    joinState(scope, convolution, graph.row(inner, [normed]), inner, convWidth),
  );
  const memory = copyState(scope, lengths.memory);
  // Each is a view when it is activated, and queries and keys are again when they are normed.
  const activated = joined.map((each, index) => {
    const active = graph.row(inner, [graph.row(inner, [each])]);
    return index < 2 ? graph.row(inner, [active]) : active;
  });
  const decay = graph.row(inner, [graph.row(inner, [graph.row(headLength, [normed])])]);
  const beta = graph.row(heads, [graph.row(heads, [normed])]);
  const result = graph.tensor(scanBytes(scope, inner), [...activated, decay, beta, memory]);
  graph.expand();
  const normedResult = graph.row(inner, [graph.row(inner, [result])]);
  // Kimi K3 has one matrix for the gate, Kimi Linear two narrow ones.
  const isNarrow = shape.architecture === 'kimi-linear';
  const gate = graph.row(inner, [graph.row(inner, [isNarrow ? graph.row(headLength, [normed]) : normed])]);
  const gated = graph.row(inner, [graph.inPlace([normedResult, gate])]);
  return graph.row(shape.embeddingLength, [gated]);
}

/** `build_shortconv_block`, src/models/lfm2.cpp. */
function shortConvolution(
  scope: LayerScope,
  recurrent: RecurrentOf<'short-convolution'>,
  normed: NodeId,
): NodeId {
  const { graph, shape } = scope;
  const { embeddingLength } = shape;
  const convolution = copyState(scope, stateLengths(shape).convolution);
  const projected = graph.row(3 * embeddingLength, [normed]);
  const product = graph.row(embeddingLength, [projected]);
  const joined = joinState(scope, convolution, product, embeddingLength, recurrent.convWidth);
  const convolved = graph.row(embeddingLength, [joined]);
  const gated = graph.inPlace([convolved], [projected]);
  return graph.row(embeddingLength, [gated]);
}

/** `build_rwkv7_time_mix`, src/models/rwkv7-base.cpp. */
function timeMix(scope: LayerScope, normed: NodeId): NodeId {
  const { graph, shape, context } = scope;
  const width = shape.embeddingLength;
  const previous = graph.row(width, [normed]);
  const difference = graph.inPlace([previous], [normed]);
  /** Receptance, decay, key, value, learning rate and gate each mix in the previous token. */
  const mixes = 6;
  const repeated = graph.row(mixes * width, [difference]);
  const mixed = graph.inPlace([repeated], [normed]);
  const parts = Array.from({ length: mixes }, () => graph.row(width, [mixed]));
  const memory = graph.tensor(stateLengths(shape).memory * context.sequences * FLOAT, []);
  const normedKey = graph.row(width, parts.slice(2, 3));
  const product = graph.row(width, [normedKey]);
  const result = graph.tensor(scanBytes(scope, width), [...parts.slice(0, 5), normedKey, product, memory]);
  const scaled = graph.row(width, [result]);
  const gated = graph.inPlace([scaled], parts.slice(5));
  return graph.row(width, [gated]);
}
