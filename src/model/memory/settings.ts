import type { GgmlTypeName } from '../ggml-types.ts';

/** Types that llama.cpp accepts for a KV cache (`kv_cache_types`, common/arg.cpp, release v0.5.0). */
export type KvCacheType = 'F32' | 'F16' | 'BF16' | 'Q8_0' | 'Q4_0' | 'Q4_1' | 'IQ4_NL' | 'Q5_0' | 'Q5_1';

/** Whether values of this type are stored in blocks with scales. */
export const isQuantised = (type: GgmlTypeName): boolean => !['F32', 'F16', 'BF16'].includes(type);

/** What decides the memory of a context, as llama.cpp's flags say it. */
export interface ContextMemorySettings {
  /** For all sequences together. */
  readonly contextTokens: number;
  /** Sequences that are kept apart (`--parallel`). */
  readonly sequences: number;
  /** One cache for all sequences, as llama-server makes it by default. */
  readonly unifiedCache: boolean;
  readonly batchTokens: number;
  readonly ubatchTokens: number;
  readonly cacheTypeK: KvCacheType;
  readonly cacheTypeV: KvCacheType;
  readonly flashAttention: boolean;
  /** The layers that predict further tokens are loaded, and drafted with (`--spec-type draft-mtp`); absent: not. */
  readonly draftsFurtherTokens?: boolean;
}

/** The defaults of llama-bench and of a llama-server with one slot (common/common.h, release v0.5.0). */
export const DEFAULT_CONTEXT: Omit<ContextMemorySettings, 'contextTokens'> = {
  sequences: 1,
  unifiedCache: false,
  batchTokens: 2048,
  ubatchTokens: 512,
  cacheTypeK: 'F16',
  cacheTypeV: 'F16',
  flashAttention: true,
};

/** Cells come in blocks of this many (`GGML_PAD(n_ctx, 256)`, src/llama-context.cpp). */
export const CELL_BLOCK = 256;

export const paddedCells = (cells: number): number => Math.ceil(cells / CELL_BLOCK) * CELL_BLOCK;

/** The sizes that the constructor of `llama_context` derives (src/llama-context.cpp, release v0.5.0). */
export interface ResolvedContext extends ContextMemorySettings {
  /** Tokens that one sequence may have. */
  readonly sequenceTokens: number;
  /** Parts of the cache that lie one after the other: the sequences, or 1 for a unified cache. */
  readonly streams: number;
}

export function resolveContext(settings: ContextMemorySettings): ResolvedContext {
  const { sequences, unifiedCache } = settings;
  const padded = paddedCells(settings.contextTokens);
  const sequenceTokens = unifiedCache ? padded : paddedCells(Math.floor(padded / sequences));
  const contextTokens = unifiedCache ? padded : sequenceTokens * sequences;
  // The batch is cut to the context before that is padded; nothing here differs for contexts of a batch and more.
  const batchTokens = Math.min(settings.contextTokens, settings.batchTokens);
  const ubatchTokens = Math.min(batchTokens, settings.ubatchTokens);
  const streams = unifiedCache ? 1 : sequences;
  return { ...settings, contextTokens, sequenceTokens, streams, batchTokens, ubatchTokens };
}
