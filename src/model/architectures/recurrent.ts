import { isRecurrentLayer, type ModelShape, type RecurrentShape } from '../shape.ts';
import type { TensorTemplate } from './architecture.ts';
import { only, type Condition } from './templates.ts';

type RecurrentKind = RecurrentShape['kind'];

/**
 * The mechanism of a shape's recurrent layers.
 * @throws TypeError when the shape has another one: the architecture is made of this one.
 */
export function recurrentOf<Kind extends RecurrentKind>(
  shape: ModelShape,
  kind: Kind,
): Extract<RecurrentShape, { readonly kind: Kind }> {
  const { recurrent } = shape;
  if (!isOfKind(recurrent, kind))
    throw new TypeError(`${shape.id}: ${shape.architecture} needs ${kind} layers`);
  return recurrent;
}

function isOfKind<Kind extends RecurrentKind>(
  recurrent: RecurrentShape | null,
  kind: Kind,
): recurrent is Extract<RecurrentShape, { readonly kind: Kind }> {
  return recurrent?.kind === kind;
}

/** Whether the layer attends: it has KV heads and is not recurrent instead. */
export const isAttentionLayer: Condition = (shape, layer) =>
  !isRecurrentLayer(shape, layer) && (shape.kvHeads[layer] ?? 0) > 0;

const mamba1 = (shape: ModelShape): ReturnType<typeof recurrentOf<'mamba1'>> => recurrentOf(shape, 'mamba1');

/** Mamba: src/models/mamba.cpp of llama.cpp release v0.5.0. */
export const MAMBA_1: readonly TensorTemplate[] = only(isRecurrentLayer, [
  { name: 'ssm_in.weight', role: 'projection', dims: (s) => [s.embeddingLength, 2 * mamba1(s).innerLength] },
  {
    name: 'ssm_conv1d.weight',
    role: 'full-precision',
    dims: (s) => [mamba1(s).convWidth, mamba1(s).innerLength],
  },
  { name: 'ssm_conv1d.bias', role: 'bias', dims: (s) => [mamba1(s).innerLength] },
  {
    name: 'ssm_x.weight',
    role: 'projection',
    dims: (s) => [mamba1(s).innerLength, mamba1(s).timeStepRank + 2 * mamba1(s).stateLength],
  },
  {
    name: 'ssm_dt.weight',
    role: 'projection',
    dims: (s) => [mamba1(s).timeStepRank, mamba1(s).innerLength],
  },
  { name: 'ssm_dt.bias', role: 'time-step', dims: (s) => [mamba1(s).innerLength] },
  { name: 'ssm_a', role: 'state-decay', dims: (s) => [mamba1(s).stateLength, mamba1(s).innerLength] },
  { name: 'ssm_d', role: 'scale', dims: (s) => [mamba1(s).innerLength] },
  {
    name: 'ssm_out.weight',
    role: 'residual-projection',
    dims: (s) => [mamba1(s).innerLength, s.embeddingLength],
  },
]);

const mamba2 = (shape: ModelShape): ReturnType<typeof recurrentOf<'mamba2'>> => recurrentOf(shape, 'mamba2');
/** What the convolution runs over: the inputs, and the two projections of the state for each group. */
const mamba2Channels = (shape: ModelShape): number => {
  const { innerLength, groups, stateLength } = mamba2(shape);
  return innerLength + 2 * groups * stateLength;
};

/** Mamba 2, as nemotron_h, granitehybrid and falcon-h1 share it. */
export const MAMBA_2: readonly TensorTemplate[] = only(isRecurrentLayer, [
  {
    name: 'ssm_in.weight',
    role: 'projection',
    dims: (s) => [s.embeddingLength, mamba2(s).innerLength + mamba2Channels(s) + mamba2(s).heads],
  },
  {
    name: 'ssm_conv1d.weight',
    role: 'full-precision',
    dims: (s) => [mamba2(s).convWidth, mamba2Channels(s)],
  },
  { name: 'ssm_conv1d.bias', role: 'bias', dims: (s) => [mamba2Channels(s)] },
  { name: 'ssm_dt.bias', role: 'time-step', dims: (s) => [mamba2(s).heads] },
  { name: 'ssm_a', role: 'state-decay', dims: (s) => [1, mamba2(s).heads] },
  { name: 'ssm_d', role: 'scale', dims: (s) => [1, mamba2(s).heads] },
  {
    name: 'ssm_norm.weight',
    role: 'norm',
    dims: (s) => [mamba2(s).innerLength / mamba2(s).groups, mamba2(s).groups],
    when: (s) => mamba2(s).withoutNorm !== true,
  },
  {
    name: 'ssm_out.weight',
    role: 'residual-projection',
    dims: (s) => [mamba2(s).innerLength, s.embeddingLength],
  },
]);

const deltaNet = (shape: ModelShape): ReturnType<typeof recurrentOf<'gated-delta-net'>> =>
  recurrentOf(shape, 'gated-delta-net');
/** Queries and keys have a head for each group, values have one for each head. */
const deltaNetChannels = (shape: ModelShape): number => {
  const { groups, heads, stateLength } = deltaNet(shape);
  return (2 * groups + heads) * stateLength;
};
const deltaNetValues = (shape: ModelShape): number => deltaNet(shape).heads * deltaNet(shape).stateLength;

/** The two gates of each head, as one matrix (qwen3next) or as two (qwen35). */
export const FUSED_HEAD_GATES: readonly TensorTemplate[] = [
  {
    name: 'ssm_ba.weight',
    role: 'projection',
    dims: (s) => [s.embeddingLength, 2 * deltaNet(s).heads],
  },
];
export const SEPARATE_HEAD_GATES: readonly TensorTemplate[] = ['ssm_beta.weight', 'ssm_alpha.weight'].map(
  (name) => ({ name, role: 'projection', dims: (s) => [s.embeddingLength, deltaNet(s).heads] }),
);

/** Gated delta net: `load_arch_tensors` of src/models/qwen3next.cpp and qwen35.cpp. */
export function gatedDeltaNet(headGates: readonly TensorTemplate[]): TensorTemplate[] {
  return only(isRecurrentLayer, [
    { name: 'attn_qkv.weight', role: 'attention-qkv', dims: (s) => [s.embeddingLength, deltaNetChannels(s)] },
    { name: 'attn_gate.weight', role: 'projection', dims: (s) => [s.embeddingLength, deltaNetValues(s)] },
    {
      name: 'ssm_conv1d.weight',
      role: 'full-precision',
      dims: (s) => [deltaNet(s).convWidth, deltaNetChannels(s)],
    },
    { name: 'ssm_dt.bias', role: 'time-step', dims: (s) => [deltaNet(s).heads] },
    { name: 'ssm_a', role: 'state-decay', dims: (s) => [deltaNet(s).heads] },
    ...headGates,
    { name: 'ssm_norm.weight', role: 'norm', dims: (s) => [deltaNet(s).stateLength] },
    {
      name: 'ssm_out.weight',
      role: 'residual-projection',
      dims: (s) => [deltaNetValues(s), s.embeddingLength],
    },
  ]);
}

const shortConvolution = (shape: ModelShape): ReturnType<typeof recurrentOf<'short-convolution'>> =>
  recurrentOf(shape, 'short-convolution');

/** A gated convolution over the last few tokens: src/models/lfm2.cpp. */
export const SHORT_CONVOLUTION: readonly TensorTemplate[] = only(isRecurrentLayer, [
  {
    name: 'shortconv.conv.weight',
    role: 'full-precision',
    dims: (s) => [shortConvolution(s).convWidth, s.embeddingLength],
  },
  {
    name: 'shortconv.in_proj.weight',
    role: 'projection',
    dims: (s) => [s.embeddingLength, 3 * s.embeddingLength],
  },
  {
    name: 'shortconv.out_proj.weight',
    role: 'residual-projection',
    dims: (s) => [s.embeddingLength, s.embeddingLength],
  },
]);

const kimiDelta = (shape: ModelShape): ReturnType<typeof recurrentOf<'kimi-delta'>> =>
  recurrentOf(shape, 'kimi-delta');
const kimiDeltaInner = (shape: ModelShape): number => kimiDelta(shape).heads * kimiDelta(shape).headLength;

/** The gate of the output: of full rank (kimi-k3), or through one head's length (kimi-linear). */
export const FULL_OUTPUT_GATE: readonly TensorTemplate[] = [
  { name: 'ssm_g.weight', role: 'projection', dims: (s) => [s.embeddingLength, kimiDeltaInner(s)] },
];
export const LOW_RANK_OUTPUT_GATE: readonly TensorTemplate[] = [
  { name: 'ssm_g_a.weight', role: 'projection', dims: (s) => [s.embeddingLength, kimiDelta(s).headLength] },
  { name: 'ssm_g_b.weight', role: 'projection', dims: (s) => [kimiDelta(s).headLength, kimiDeltaInner(s)] },
];

/**
 * Kimi delta attention: src/models/kimi-linear.cpp and kimi-k3.cpp of llama.cpp release v0.5.0.
 * @param decayDimensions - those of `ssm_a` before the heads: kimi-linear keeps one of length 1.
 */
export function kimiDeltaAttention(
  outputGate: readonly TensorTemplate[],
  decayDimensions: readonly number[],
): TensorTemplate[] {
  const toInner = (name: string, role: TensorTemplate['role']): TensorTemplate => ({
    name,
    role,
    dims: (s) => [s.embeddingLength, kimiDeltaInner(s)],
  });
  const convolution = (of: string): TensorTemplate => ({
    name: `ssm_conv1d_${of}.weight`,
    role: 'full-precision',
    dims: (s) => [kimiDelta(s).convWidth, 1, kimiDeltaInner(s)],
  });
  return only(isRecurrentLayer, [
    ...['q', 'k', 'v'].map(convolution),
    toInner('attn_q.weight', 'attention-q'),
    toInner('attn_k.weight', 'attention-k'),
    toInner('attn_v.weight', 'attention-v'),
    { name: 'ssm_f_a.weight', role: 'projection', dims: (s) => [s.embeddingLength, kimiDelta(s).headLength] },
    { name: 'ssm_f_b.weight', role: 'projection', dims: (s) => [kimiDelta(s).headLength, kimiDeltaInner(s)] },
    { name: 'ssm_beta.weight', role: 'projection', dims: (s) => [s.embeddingLength, kimiDelta(s).heads] },
    { name: 'ssm_a', role: 'state-decay', dims: (s) => [...decayDimensions, kimiDelta(s).heads] },
    { name: 'ssm_dt.bias', role: 'time-step', dims: (s) => [kimiDeltaInner(s)] },
    ...outputGate,
    { name: 'ssm_norm.weight', role: 'norm', dims: (s) => [kimiDelta(s).headLength] },
    {
      name: 'attn_output.weight',
      role: 'attention-output',
      dims: (s) => [kimiDeltaInner(s), s.embeddingLength],
    },
  ]);
}
