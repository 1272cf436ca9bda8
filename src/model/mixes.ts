import { rowFits, type Dimensions, type GgmlTypeName } from './ggml-types.ts';
import type { Architecture, TensorRole } from './architectures/architecture.ts';
import { ofLayer, type ModelShape } from './shape.ts';

/** A tensor of the full model, as the quantiser of llama.cpp sees it. */
export interface QuantisedTensor {
  readonly name: string;
  readonly role: TensorRole;
  readonly dims: Dimensions;
  /** The layer of the full model; null for a tensor of the model as a whole. */
  readonly layer: number | null;
}

/** A rule of a mix: the first that matches gives the type. */
interface MixRule {
  readonly roles: readonly TensorRole[];
  readonly when: (layer: number, layers: number) => boolean;
  readonly type: GgmlTypeName;
}

interface Mix {
  /** `enum llama_ftype` in include/llama.h: what llama.cpp calls the file. */
  readonly fileType: number;
  /** The type of every weight that no rule covers. */
  readonly base: GgmlTypeName;
  /** The type of the head (and of a tied embedding), where the mix has one of its own. */
  readonly head?: GgmlTypeName;
  readonly rules: readonly MixRule[];
}

/** `use_more_bits`, src/llama-quant.cpp: the first and last eighth of the layers, and every third between. */
function usesMoreBits(layer: number, layers: number): boolean {
  const eighth = Math.floor(layers / 8);
  return layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer - eighth) % 3 === 2;
}

const EXPERT_ROLES: readonly TensorRole[] = ['expert-gate', 'expert-up', 'expert-down'];

/** Values that the rules of the K mixes with a medium size have in common. */
const SENSITIVE_TENSORS: MixRule = {
  roles: ['attention-v', 'attention-qkv', 'feed-forward-down', 'expert-down'],
  when: usesMoreBits,
  type: 'Q6_K',
};

/** The file mixes: `llama_ftype_get_default_type` and `llama_tensor_get_type_impl`, src/llama-quant.cpp v0.5.0. */
const MIXES = {
  Q4_K_M: { fileType: 15, base: 'Q4_K', rules: [SENSITIVE_TENSORS] },
  Q4_0: { fileType: 2, base: 'Q4_0', rules: [] },
  Q5_K_M: { fileType: 17, base: 'Q5_K', rules: [SENSITIVE_TENSORS] },
  Q6_K: { fileType: 18, base: 'Q6_K', rules: [] },
  Q8_0: { fileType: 7, base: 'Q8_0', rules: [] },
  MXFP4: {
    fileType: 38,
    base: 'Q8_0',
    head: 'Q8_0',
    rules: [{ roles: EXPERT_ROLES, when: () => true, type: 'MXFP4' }],
  },
  F16: { fileType: 1, base: 'F16', rules: [] },
  BF16: { fileType: 32, base: 'BF16', rules: [] },
  F32: { fileType: 0, base: 'F32', rules: [] },
} as const satisfies Record<string, Mix>;

export type MixName = keyof typeof MIXES;

/** Every mix that can be synthesised, the usual one first. */
export const MIX_NAMES = Object.keys(MIXES) as readonly MixName[];

export function isMixName(name: string): name is MixName {
  return Object.hasOwn(MIXES, name);
}

/** The number of `general.file_type`, from which llama.cpp makes its label ("Q4_K - Medium"). */
export function fileTypeOf(mix: MixName): number {
  return MIXES[mix].fileType;
}

/** The mix that a file's `general.file_type` names; null when it is none of those known here. */
export function mixOfFileType(fileType: number): MixName | null {
  return MIX_NAMES.find((name) => MIXES[name].fileType === fileType) ?? null;
}

/** Roles whose tensors are weights of a matrix product, and so are quantised. */
const QUANTISED_ROLES: ReadonlySet<TensorRole> = new Set<TensorRole>([
  'token-embedding',
  'per-layer-embedding',
  'output',
  'attention-q',
  'attention-k',
  'attention-v',
  'attention-qkv',
  'attention-output',
  'projection',
  'residual-projection',
  'feed-forward-gate',
  'feed-forward-up',
  'feed-forward-down',
  ...EXPERT_ROLES,
]);

/** What a 256-weight type becomes when a row is no multiple of 256: `tensor_type_fallback`. */
const SHAPE_FALLBACK: Partial<Record<GgmlTypeName, GgmlTypeName>> = {
  Q4_K: 'Q5_0',
  Q5_K: 'Q5_1',
  Q6_K: 'Q8_0',
};

const UNQUANTISED: ReadonlySet<GgmlTypeName> = new Set<GgmlTypeName>(['F32', 'F16', 'BF16']);

/** The Mixtral exception of `llama_tensor_get_type_impl` is for exactly this many experts. */
const MIXTRAL_EXPERTS = 8;

/** The type that a tensor of the *full* model has in a file of this mix. */
export function typeInMix(
  tensor: QuantisedTensor,
  mixName: MixName,
  shape: ModelShape,
  architecture: Architecture,
): GgmlTypeName {
  if (tensor.role === 'unquantised-projection') return sourceType(mixName);
  if (tensor.role === 'expert-table') return 'I32';
  if (!QUANTISED_ROLES.has(tensor.role)) return 'F32';
  if (architecture.nativeExpertType !== undefined && EXPERT_ROLES.includes(tensor.role)) {
    return architecture.nativeExpertType;
  }
  const { base } = MIXES[mixName];
  if (UNQUANTISED.has(base)) return base;
  return fitToRow(preferredType(tensor, mixName, shape, architecture), ofLayer(tensor.dims, 0));
}

/** The type of the file that was quantised: usually F16, where the mix does not say it. */
function sourceType(mixName: MixName): GgmlTypeName {
  const { base } = MIXES[mixName];
  return UNQUANTISED.has(base) ? base : 'F16';
}

function preferredType(
  tensor: QuantisedTensor,
  mixName: MixName,
  shape: ModelShape,
  architecture: Architecture,
): GgmlTypeName {
  const mix: Mix = MIXES[mixName];
  const isEmbedding = tensor.role === 'token-embedding' || tensor.role === 'per-layer-embedding';
  const isHead = tensor.role === 'output' || (isEmbedding && shape.tiedEmbeddings);
  if (isHead) return headType(mix, ofLayer(tensor.dims, 0));
  const { layer } = tensor;
  if (layer === null) return mix.base;
  const rule = mix.rules.find((each) => each.roles.includes(tensor.role) && each.when(layer, shape.layers));
  const type = rule?.type ?? mix.base;
  if (mix.head !== undefined) return type; // the MXFP4 branch comes before the exceptions below
  const ofEight = shape.experts?.count === MIXTRAL_EXPERTS;
  if (tensor.role === 'attention-v') {
    if (ofEight) return 'Q8_0';
    if (type === 'Q4_K' && architecture.isSeventyB?.(shape) === true) return 'Q5_K';
  }
  if (tensor.role === 'attention-k' && ofEight) return 'Q8_0';
  if (tensor.role === 'attention-output' && ofEight && mixName === 'Q4_K_M') return 'Q5_K';
  return type;
}

function headType(mix: Mix, rowLength: number): GgmlTypeName {
  if (mix.head !== undefined) return mix.head;
  if (mix.base === 'Q8_0' || !rowFits(mix.base, rowLength)) return 'Q8_0';
  return 'Q6_K';
}

function fitToRow(type: GgmlTypeName, rowLength: number): GgmlTypeName {
  if (rowFits(type, rowLength)) return type;
  const fallback = SHAPE_FALLBACK[type] ?? type;
  return rowFits(fallback, rowLength) ? fallback : 'F16';
}
