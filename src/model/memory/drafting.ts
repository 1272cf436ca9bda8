import { ofLayer, type ModelShape } from '../shape.ts';
import type { ModelTensor } from '../tensors.ts';
import {
  cacheOfRows,
  keepsKeysOnly,
  keyRowLength,
  valueRowLength,
  widestValueRow,
  type KvCache,
} from './kv-state.ts';
import type { ResolvedContext } from './settings.ts';

/**
 * Layers that predict further tokens. A file may have them; llama.cpp leaves them out unless it drafts with them
 * (`--spec-type draft-mtp`), and then makes a second context whose cache holds these layers alone
 * (`common_speculative_init_result`, common/speculative.cpp, release v0.5.0).
 */

/** `n_max` of `common_params_speculative_draft`, common/common.h: tokens that are drafted at once. */
const DRAFTED_TOKENS = 3;

/** `llm_arch_supports_rs_rollback`, src/llama-arch.cpp, of the architectures of the catalogue. */
const KEEPS_EARLIER_STATES: ReadonlySet<string> = new Set([
  'deepseek4',
  'kimi-k3',
  'lfm2',
  'lfm2moe',
  'nemotron_h',
  'nemotron_h_moe',
  'qwen35',
  'qwen35moe',
]);

/** How many states a recurrent layer has of each sequence: its own, and those before each token of a draft. */
export const statesOfSequence = (
  { architecture }: Pick<ModelShape, 'architecture'>,
  { draftsFurtherTokens }: Pick<ResolvedContext, 'draftsFurtherTokens'>,
): number =>
  draftsFurtherTokens === true && KEEPS_EARLIER_STATES.has(architecture) ? 1 + DRAFTED_TOKENS : 1;

/** How many layers the file has, those that predict further tokens among them: placements count them all. */
export function layersOfFile({ layers }: ModelShape, tensors: readonly ModelTensor[]): number {
  const before = LAST_LAYERS.get(tensors);
  if (before !== undefined) return Math.max(before, layers);
  let end = 0;
  for (const { layer } of tensors) if (layer !== null && layer >= end) end = layer + 1;
  LAST_LAYERS.set(tensors, end);
  return Math.max(end, layers);
}

/** By list of tensors, as its contexts are asked for one after the other. */
const LAST_LAYERS = new WeakMap<readonly ModelTensor[], number>();

/** What is loaded of files that have more: one list for each, as graphs are kept by list. */
const LOADED = new WeakMap<readonly ModelTensor[], readonly ModelTensor[]>();

/** The tensors that are loaded. */
export function loadedTensors(
  shape: ModelShape,
  tensors: readonly ModelTensor[],
  { draftsFurtherTokens }: Pick<ResolvedContext, 'draftsFurtherTokens'>,
): readonly ModelTensor[] {
  const { layers } = shape;
  if (draftsFurtherTokens === true || layersOfFile(shape, tensors) === layers) return tensors;
  let loaded = LOADED.get(tensors);
  if (loaded === undefined) {
    loaded = tensors.filter(({ layer }) => layer === null || layer < layers);
    LOADED.set(tensors, loaded);
  }
  return loaded;
}

/**
 * The cache of the context that drafts: rows as those of the model's last layer with a cache, F16 whatever the type of
 * the model's own (`common_base_params_to_speculative`), without what chooses tokens; null: nothing is drafted.
 */
export function draftCache(shape: ModelShape, fileLayers: number, context: ResolvedContext): KvCache | null {
  if (context.draftsFurtherTokens !== true || fileLayers === shape.layers) return null;
  const like = shape.kvHeads.findLastIndex((heads) => heads > 0);
  if (like < 0 || ofLayer(shape.kvHeads, like) === 0) return null;
  const key = keyRowLength(shape, like);
  const value = context.flashAttention ? valueRowLength(shape, like) : widestValueRow(shape);
  const further = Array.from({ length: fileLayers - shape.layers }, (_, index) => ({
    layer: shape.layers + index,
    key,
    value: keepsKeysOnly(shape) ? 0 : value,
  }));
  const types = { ...context, cacheTypeK: 'F16', cacheTypeV: 'F16' } as const;
  return cacheOfRows('attention', context.sequenceTokens, context.streams, types, further);
}
