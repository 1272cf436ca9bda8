import type { GraphScope } from '../graph-scope.ts';
import { OP, TYPE } from '../operations.ts';
import type { Tensor } from '../tensor-store.ts';
import { stateLengths } from '../../recurrent-state.ts';

/** From which state each sequence of the ubatch goes on, and which states are only moved: here none. */
export interface StateInputs {
  readonly own: Tensor;
  readonly others: Tensor;
}

/** Which part of a layer's state: the last inputs of its convolution, or its memory. */
export type StatePart = 'convolution' | 'memory';

/** `build_rs_inp_impl`, src/llama-graph.cpp: the states of all sequences are in use when a graph is reserved. */
export function stateInputs({ graph, context }: GraphScope): StateInputs {
  const copies = graph.input(TYPE.i32, context.sequences);
  return { own: graph.view1d(copies, context.sequences), others: graph.view1d(copies, 0) };
}

/**
 * `build_rs`, src/llama-graph.cpp: one state is cleared, those of the ubatch are read, and others moved.
 * @param read - what is computed of the states and the numbers of those to read; absent: they are copied.
 */
export function readState(
  scope: GraphScope,
  inputs: StateInputs,
  layer: number,
  part: StatePart,
  read: (states: Tensor, rows: Tensor) => Tensor = (states, rows) => scope.graph.getRows(states, rows),
): Tensor {
  const { graph, shape, context } = scope;
  const all = scope.state(layer, part);
  const length = stateLengths(shape)[part];
  const states = graph.reshape(all, length, context.sequences * scope.keptStates);
  graph.expand(graph.inPlace(OP.scale, graph.view1d(states, length)));
  const result = read(states, inputs.own);
  graph.expand(result);
  const moved = graph.getRows(states, inputs.others);
  graph.expand(graph.cpy(moved, graph.view2d(all, length, 0, graph.nb(all, 1))));
  return result;
}

/**
 * The inputs of a convolution behind those that the state has kept; their end is kept in turn.
 * @param inputs - channels, tokens of a sequence, sequences; a view is as good.
 * @param flat - the states are written as one row, not as one for each sequence.
 */
export function extendInputs(
  scope: GraphScope,
  layer: number,
  state: Tensor,
  inputs: Tensor,
  flat: boolean,
): Tensor {
  const { graph, shape, context } = scope;
  const { sequences } = context;
  const channels = graph.ne(inputs, 0);
  const kept = stateLengths(shape).convolution / channels;
  const before = graph.reshape(state, kept, channels, sequences);
  const joined = graph.concat(before, graph.transpose(inputs), 0);
  const all = scope.state(layer, 'convolution');
  const length = stateLengths(shape).convolution;
  for (let written = 0; written < writtenStates(scope); written += 1) {
    const last = graph.view3d(joined, kept, channels, sequences, graph.nb(joined, 1), graph.nb(joined, 2));
    const place = flat
      ? graph.view1d(all, length * sequences)
      : graph.view2d(all, length, sequences, graph.nb(all, 1));
    graph.expand(graph.cpy(last, place));
  }
  return joined;
}

/** Of the states that are kept, those that a ubatch has tokens for. */
export const writtenStates = ({ keptStates, tokens, context }: GraphScope): number =>
  Math.min(keptStates, tokens / context.sequences);

/** Keeps the states behind the values of a scan, of each sequence the last ones. */
export function keepStates(scope: GraphScope, layer: number, scanned: Tensor, length: number): void {
  const { graph, context } = scope;
  const { sequences } = context;
  const count = writtenStates(scope);
  const stride = scope.row(length);
  const place = scope.state(layer, 'memory');
  graph.expand(
    graph.cpy(
      graph.view3d(scanned, length, sequences, count, stride, stride * sequences),
      graph.view3d(place, length, sequences, count, graph.nb(place, 1), stride * sequences),
    ),
  );
}

/** `ggml_ssm_conv`. */
export function convolve({ graph }: GraphScope, joined: Tensor, kernel: Tensor): Tensor {
  const tokens = graph.ne(joined, 0) - graph.ne(kernel, 0) + 1;
  return graph.operation(OP.ssmConv, [graph.ne(kernel, 1), tokens, graph.ne(joined, 2)], [joined, kernel]);
}
