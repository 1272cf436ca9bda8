import type { MetadataEntry } from '../gguf/metadata.ts';
import { isExpertLayer, type ModelShape } from '../shape.ts';
import type { TensorTemplate } from './architecture.ts';
import { expertsOf } from './feed-forward.ts';
import { only, type Condition } from './templates.ts';

/** What the routed experts read and write: a projection of the embedding, or the embedding itself. */
const expertInput = (shape: ModelShape): number => expertsOf(shape).latentLength ?? shape.embeddingLength;
const isProjected: Condition = (shape, layer) =>
  isExpertLayer(shape, layer) && expertsOf(shape).latentLength !== null;

const inward = (name: string, role: TensorTemplate['role']): TensorTemplate => ({
  name,
  role,
  dims: (s) => [expertInput(s), expertsOf(s).feedForwardLength, expertsOf(s).count],
});

/** Routed experts without a gate, and the router: src/models/nemotron-h.cpp of llama.cpp release v0.5.0. */
export const UNGATED_LATENT_EXPERTS: readonly TensorTemplate[] = only(isExpertLayer, [
  {
    name: 'ffn_gate_inp.weight',
    role: 'expert-router',
    dims: (s) => [s.embeddingLength, expertsOf(s).count],
  },
  inward('ffn_up_exps.weight', 'expert-up'),
  {
    name: 'ffn_down_exps.weight',
    role: 'expert-down',
    dims: (s) => [expertsOf(s).feedForwardLength, expertInput(s), expertsOf(s).count],
  },
]);

/** Routed experts with a gate, and the router: src/models/kimi-k3.cpp of llama.cpp release v0.5.0. */
export const GATED_LATENT_EXPERTS: readonly TensorTemplate[] = [
  ...UNGATED_LATENT_EXPERTS,
  ...only(isExpertLayer, [inward('ffn_gate_exps.weight', 'expert-gate')]),
];

/**
 * The projections to and from what the experts work on.
 * @param part - how the architecture calls it in the middle of its names.
 */
export function latentProjections(part: 'latent' | 'routed'): TensorTemplate[] {
  return only(isProjected, [
    {
      name: `ffn_${part}_down.weight`,
      role: 'projection',
      dims: (s) => [s.embeddingLength, expertInput(s)],
    },
    {
      name: `ffn_${part}_up.weight`,
      role: 'residual-projection',
      dims: (s) => [expertInput(s), s.embeddingLength],
    },
  ]);
}

/** The norm of what Kimi K3's experts return. */
export const LATENT_NORM: readonly TensorTemplate[] = only(isProjected, [
  { name: 'ffn_routed_norm.weight', role: 'norm', dims: (s) => [expertInput(s)] },
]);

/** The width of all shared experts together; 0: there are none. */
export const sharedExpertLength = (shape: ModelShape): number =>
  shape.experts?.shared?.feedForwardLength ?? 0;

/** The shared experts of Nemotron, a network without a gate. */
export const UNGATED_SHARED_EXPERTS: readonly TensorTemplate[] = only(
  (shape, layer) => isExpertLayer(shape, layer) && sharedExpertLength(shape) > 0,
  [
    {
      name: 'ffn_up_shexp.weight',
      role: 'feed-forward-up',
      dims: (s) => [s.embeddingLength, sharedExpertLength(s)],
    },
    {
      name: 'ffn_down_shexp.weight',
      role: 'feed-forward-down',
      dims: (s) => [sharedExpertLength(s), s.embeddingLength],
    },
  ],
);

/** The length of what the experts work on, by the key that the architecture has for it. */
export function latentLengthMetadata(key: string, { experts }: ModelShape): MetadataEntry[] {
  const length = experts?.latentLength ?? null;
  return length === null ? [] : [[key, { type: 'u32', value: length }]];
}
