import { tensorsOf, type MixName, type ModelShape, type ModelTensor } from '../model/index.ts';

/** Weights of one type in a part of a model. */
export interface TypeShare {
  readonly type: string;
  readonly weights: number;
  readonly bytes: number;
}

/** What types the parts of a model are made of: a mix keeps some matrices in more bits than others. */
export interface WeightTypes {
  readonly dense: readonly TypeShare[];
  readonly head: readonly TypeShare[];
  readonly experts: readonly TypeShare[];
}

const EXPERT_ROLES: ReadonlySet<string> = new Set(['expert-gate', 'expert-up', 'expert-down']);

/** The types of a model's matrices; vectors, such as norms, and tables of embeddings are no part of a product. */
export function weightTypesOf(shape: ModelShape, mix: MixName): WeightTypes {
  const parts = { dense: [] as ModelTensor[], head: [] as ModelTensor[], experts: [] as ModelTensor[] };
  for (const tensor of tensorsOf(shape, mix)) {
    if (tensor.dims.length < 2 || tensor.role === 'per-layer-embedding') continue;
    if (tensor.role === 'token-embedding') {
      if (shape.tiedEmbeddings) parts.head.push(tensor);
    } else if (tensor.role === 'output') parts.head.push(tensor);
    else (EXPERT_ROLES.has(tensor.role) ? parts.experts : parts.dense).push(tensor);
  }
  return { dense: sharesOf(parts.dense), head: sharesOf(parts.head), experts: sharesOf(parts.experts) };
}

function sharesOf(tensors: readonly ModelTensor[]): TypeShare[] {
  const shares = new Map<string, { weights: number; bytes: number }>();
  for (const { type, dims, bytes } of tensors) {
    const share = shares.get(type) ?? { weights: 0, bytes: 0 };
    shares.set(type, share);
    share.weights += dims.reduce((product, length) => product * length, 1);
    share.bytes += bytes;
  }
  return [...shares].map(([type, share]) => ({ type, ...share }));
}
