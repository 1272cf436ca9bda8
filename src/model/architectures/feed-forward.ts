import { isExpertLayer, ofLayer, type ModelShape } from '../shape.ts';
import type { TensorTemplate } from './architecture.ts';
import { hasBias, only, vector, type Condition } from './templates.ts';

/** The expert widths of a shape. @throws TypeError for a dense shape: the architecture is made of experts. */
export function expertsOf(shape: ModelShape): NonNullable<ModelShape['experts']> {
  if (shape.experts === null) throw new TypeError(`${shape.id}: ${shape.architecture} needs experts`);
  return shape.experts;
}

const width = (shape: ModelShape, layer: number): number => ofLayer(shape.feedForwardLength, layer);
const isDense: Condition = (shape, layer) => !isExpertLayer(shape, layer) && width(shape, layer) > 0;

const GATE: TensorTemplate = {
  name: 'ffn_gate.weight',
  role: 'feed-forward-gate',
  dims: (s, il) => [s.embeddingLength, width(s, il)],
};
const UP: TensorTemplate = {
  name: 'ffn_up.weight',
  role: 'feed-forward-up',
  dims: (s, il) => [s.embeddingLength, width(s, il)],
};
const DOWN: TensorTemplate = {
  name: 'ffn_down.weight',
  role: 'feed-forward-down',
  dims: (s, il) => [width(s, il), s.embeddingLength],
};

/** A gated network, in every layer. */
export const GATED_NETWORK: readonly TensorTemplate[] = [GATE, UP, DOWN];

/** A gated network, in the layers that have no experts. */
export const DENSE_FEED_FORWARD: readonly TensorTemplate[] = only(isDense, GATED_NETWORK);

/** A network without a gate, in the layers that have no experts. */
export const UNGATED_FEED_FORWARD: readonly TensorTemplate[] = only(isDense, [UP, DOWN]);

/** A gated network whose gate is the first half of `ffn_up`. */
export const FUSED_FEED_FORWARD: readonly TensorTemplate[] = only(isDense, [
  { ...UP, dims: (s, il) => [s.embeddingLength, 2 * width(s, il)] },
  DOWN,
]);

/** Biases of a network without a gate. */
export const FEED_FORWARD_BIASES: readonly TensorTemplate[] = only(hasBias('feed-forward'), [
  { name: 'ffn_up.bias', role: 'bias', dims: (s, il) => [width(s, il)] },
  vector('ffn_down.bias', 'bias'),
]);

const ROUTER: TensorTemplate = {
  name: 'ffn_gate_inp.weight',
  role: 'expert-router',
  dims: (s) => [s.embeddingLength, expertsOf(s).count],
};
const EXPERT_DOWN: TensorTemplate = {
  name: 'ffn_down_exps.weight',
  role: 'expert-down',
  dims: (s) => [expertsOf(s).feedForwardLength, s.embeddingLength, expertsOf(s).count],
};

/** The experts that tokens are routed to, with the router, in the layers that have experts. */
export const ROUTED_EXPERTS: readonly TensorTemplate[] = only(isExpertLayer, [
  ROUTER,
  {
    name: 'ffn_gate_exps.weight',
    role: 'expert-gate',
    dims: (s) => [s.embeddingLength, expertsOf(s).feedForwardLength, expertsOf(s).count],
  },
  {
    name: 'ffn_up_exps.weight',
    role: 'expert-up',
    dims: (s) => [s.embeddingLength, expertsOf(s).feedForwardLength, expertsOf(s).count],
  },
  EXPERT_DOWN,
]);

/** The same with gate and up in one tensor. */
export const FUSED_EXPERTS: readonly TensorTemplate[] = only(isExpertLayer, [
  ROUTER,
  {
    name: 'ffn_gate_up_exps.weight',
    role: 'expert-up',
    dims: (s) => [s.embeddingLength, 2 * expertsOf(s).feedForwardLength, expertsOf(s).count],
  },
  EXPERT_DOWN,
]);

/** What is added to the scores before experts are chosen. */
export const SCORE_CORRECTION: TensorTemplate = {
  name: 'exp_probs_b.bias',
  role: 'expert-score-correction',
  dims: (s) => [expertsOf(s).count],
  when: (s, il) => isExpertLayer(s, il) && expertsOf(s).scoreCorrection,
};

const sharedWidth = (shape: ModelShape): number => shape.experts?.shared?.feedForwardLength ?? 0;

/** Experts that every token passes, as one network. */
export const SHARED_EXPERTS: readonly TensorTemplate[] = only(
  (shape, layer) => isExpertLayer(shape, layer) && sharedWidth(shape) > 0,
  [
    {
      name: 'ffn_gate_shexp.weight',
      role: 'feed-forward-gate',
      dims: (s) => [s.embeddingLength, sharedWidth(s)],
    },
    {
      name: 'ffn_up_shexp.weight',
      role: 'feed-forward-up',
      dims: (s) => [s.embeddingLength, sharedWidth(s)],
    },
    {
      name: 'ffn_down_shexp.weight',
      role: 'feed-forward-down',
      dims: (s) => [sharedWidth(s), s.embeddingLength],
    },
  ],
);

/** Dense where the layer is dense, else experts: what most architectures with experts have. */
export const MIXED_FEED_FORWARD: readonly TensorTemplate[] = [
  ...DENSE_FEED_FORWARD,
  ...ROUTED_EXPERTS,
  SCORE_CORRECTION,
  ...SHARED_EXPERTS,
];

export const EXPERT_BIASES: readonly TensorTemplate[] = [
  {
    name: 'ffn_gate_inp.bias',
    role: 'bias',
    dims: (s) => [expertsOf(s).count],
    when: hasBias('router'),
  },
  {
    name: 'ffn_gate_exps.bias',
    role: 'bias',
    dims: (s) => [expertsOf(s).feedForwardLength, expertsOf(s).count],
    when: hasBias('experts'),
  },
  {
    name: 'ffn_up_exps.bias',
    role: 'bias',
    dims: (s) => [expertsOf(s).feedForwardLength, expertsOf(s).count],
    when: hasBias('experts'),
  },
  {
    name: 'ffn_down_exps.bias',
    role: 'bias',
    dims: (s) => [s.embeddingLength, expertsOf(s).count],
    when: hasBias('experts'),
  },
];
