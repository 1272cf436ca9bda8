import type { Dimensions } from '../ggml-types.ts';

/** The kinds of tensors that the quantiser tells apart by their names. */
export type TensorCategory =
  | 'output'
  | 'token-embedding'
  | 'attention-v'
  | 'attention-k'
  | 'attention-q'
  | 'attention-output'
  | 'feed-forward-up'
  | 'feed-forward-gate'
  | 'feed-forward-down'
  | 'other';

/** `tensor_get_category`, in its order; projections that hold values (qkv, kv_b) count as values there too. */
const BY_PART: readonly (readonly [part: string, category: TensorCategory])[] = [
  ['attn_qkv.weight', 'attention-v'],
  ['attn_kv_b.weight', 'attention-v'],
  ['attn_v.weight', 'attention-v'],
  ['attn_k.weight', 'attention-k'],
  ['attn_q.weight', 'attention-q'],
  ['attn_output.weight', 'attention-output'],
  ['ffn_up', 'feed-forward-up'],
  ['ffn_gate', 'feed-forward-gate'],
  ['ffn_down', 'feed-forward-down'],
];

/** The category of a tensor: `tensor_get_category`, src/llama-quant.cpp, release v0.5.0. */
export function categoryOf(name: string): TensorCategory {
  if (name === 'output.weight') return 'output';
  if (name === 'token_embd.weight' || name === 'per_layer_token_embd.weight') return 'token-embedding';
  return BY_PART.find(([part]) => name.includes(part))?.[1] ?? 'other';
}

const RWKV_KEPT = ['first', 'w0', 'w1', 'w2', 'v0', 'v1', 'v2', 'a0', 'a1', 'a2', 'g1', 'g2']
  .concat('decay_w1', 'decay_w2', 'lerp_fused')
  .map((part) => `time_mix_${part}.weight`);

/** Parts of the names of tensors that are never quantised: norms, routers, and what is small or fragile. */
const KEPT_PARTS: readonly string[] = [
  '_norm.weight',
  'ffn_gate_inp.weight',
  'ffn_gate_tid2eid.weight',
  'altup',
  'laurel',
  'per_layer_model_proj',
  'ssm_conv1d',
  'shortconv.conv.weight',
  'indexer.k_proj.weight',
  'indexer.q_proj.weight',
  ...RWKV_KEPT,
  'attn_rel_b.weight',
  '.position_embd',
  'sam.pos_embd',
  'sam.neck.',
  'sam.net_',
  '.rel_pos',
  '.patch_embd',
  '.patch_merger',
  'a.rvq.codebook',
  'mm.a.code_embd',
];
const KEPT_NAMES: ReadonlySet<string> = new Set(['position_embd.weight', 'token_types.weight']);

/** Dimensions as `ggml_n_dims` counts them: trailing ones do not. */
export function dimensionCount(dims: Dimensions): number {
  let count = dims.length;
  while (count > 1 && (dims[count - 1] ?? 1) <= 1) count -= 1;
  return count;
}

/**
 * Whether the quantiser touches a tensor of this name when it has two dimensions: `tensor_allows_quantization`,
 * src/llama-quant.cpp, release v0.5.0.
 */
export function isQuantisedName(name: string): boolean {
  return name.endsWith('weight') && !KEPT_NAMES.has(name) && !KEPT_PARTS.some((part) => name.includes(part));
}

/** Matrices that the converter writes in F32: `prepare_tensors`, conversion/base.py, release v0.5.0. */
const SINGLE_PRECISION_PARTS: readonly string[] = [
  '_norm.weight',
  'ffn_gate_inp.weight',
  'ffn_gate_inp_shexp.weight',
  'ssm_conv1d',
  'shortconv.conv.weight',
  'time_mix_first.weight',
  'time_mix_w1.weight',
  'time_mix_w2.weight',
  'time_mix_decay_w1.weight',
  'time_mix_decay_w2.weight',
  'time_mix_lerp_fused.weight',
  'altup_correct_coef.weight',
  'altup_predict_coef.weight',
  'indexer.proj.weight',
];
/** conversion/minimax.py: the whole indexer. */
const MINIMAX_INDEXER = 'indexer.';

/** Whether the converter keeps a tensor of this name in F32 whatever the type of the file; vectors it always does. */
export function isSinglePrecisionName(name: string, architecture: string): boolean {
  return (
    !name.endsWith('.weight') ||
    KEPT_NAMES.has(name) ||
    SINGLE_PRECISION_PARTS.some((part) => name.includes(part)) ||
    (architecture === 'minimax-m3' && name.includes(MINIMAX_INDEXER))
  );
}
