import { bytes, type Bytes } from '../units/index.ts';
import { kvCacheBytes, kvCaches } from './memory/kv-state.ts';
import { DEFAULT_CONTEXT, resolveContext, type KvCacheType } from './memory/settings.ts';
import type { ModelShape } from './shape.ts';

/** KV cache bytes that one token adds, by kind of layer. */
export interface KvBytesPerToken {
  /** Layers that keep every token of the context, and the keys by which an indexer chooses among them. */
  readonly fullAttention: Bytes;
  /** Layers that keep no more tokens than the window (and the batch) needs. */
  readonly slidingWindow: Bytes;
}

/** Long enough for every window to be full, and a multiple of all blocks of cells and of all compression ratios. */
const LONG_CONTEXT_TOKENS = 2 ** 20;

/** KV cache bytes for each token, from the caches that llama.cpp makes for a long context with flash attention. */
export function kvBytesPerToken(
  shape: ModelShape,
  cacheTypeK: KvCacheType,
  cacheTypeV: KvCacheType,
): KvBytesPerToken {
  const context = resolveContext({
    ...DEFAULT_CONTEXT,
    contextTokens: LONG_CONTEXT_TOKENS,
    cacheTypeK,
    cacheTypeV,
  });
  let fullAttention = 0;
  let slidingWindow = 0;
  for (const cache of kvCaches(shape, context)) {
    if (cache.kind === 'window') slidingWindow += kvCacheBytes(cache) / cache.cells;
    else fullAttention += kvCacheBytes(cache) / LONG_CONTEXT_TOKENS;
  }
  return { fullAttention: bytes(fullAttention), slidingWindow: bytes(slidingWindow) };
}
