import type { GraphScope } from './graph-scope.ts';
import { OP, UNARY } from './operations.ts';
import type { Tensor } from './tensor-store.ts';

/** How a network bends what it has projected (`llm_ffn_op_type`). */
export type Activation = 'silu' | 'gelu' | 'relu' | 'squared-relu' | 'halves' | 'clamped-silu';

/** Which weights of a layer a network has: their names before `.weight`. */
export interface NetworkNames {
  readonly up: string;
  readonly gate: string;
  readonly down: string;
}

export const DENSE: NetworkNames = { up: 'ffn_up', gate: 'ffn_gate', down: 'ffn_down' };
export const SHARED: NetworkNames = { up: 'ffn_up_shexp', gate: 'ffn_gate_shexp', down: 'ffn_down_shexp' };

const UNARY_OF: Readonly<Record<Activation, (typeof UNARY)[keyof typeof UNARY]>> = {
  silu: UNARY.silu,
  'clamped-silu': UNARY.silu,
  gelu: UNARY.gelu,
  relu: UNARY.other,
  'squared-relu': UNARY.other,
  halves: UNARY.silu,
};

/** `build_ffn`, src/llama-graph.cpp: gated where the layer has a gate. */
export function network(
  scope: GraphScope,
  layer: number,
  input: Tensor,
  activation: Activation = 'silu',
  names: NetworkNames = DENSE,
): Tensor {
  const { graph } = scope;
  const up = scope.project(layer, names.up, input);
  const isGated = scope.weightOf(layer, names.gate) >= 0;
  const gate = isGated ? scope.project(layer, names.gate, input) : up;
  return scope.project(layer, names.down, activate(graph, gate, isGated ? up : -1, activation));
}

/** @param up - -1: nothing is gated. */
export function activate(
  graph: GraphScope['graph'],
  gate: Tensor,
  up: Tensor,
  activation: Activation,
): Tensor {
  if (activation === 'halves') return graph.glu(gate);
  if (activation === 'clamped-silu' && up >= 0) {
    const limited = graph.clamp(up);
    return graph.mul(graph.clamp(graph.unary(gate, UNARY.silu)), limited);
  }
  if (up >= 0) return graph.gluSplit(gate, up);
  const active = graph.unary(gate, UNARY_OF[activation]);
  return activation === 'squared-relu' ? graph.sameLengths(OP.sqr, active) : active;
}
