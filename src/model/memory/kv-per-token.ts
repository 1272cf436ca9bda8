import { bytesPerWeight } from '../ggml-types.ts';
import type { ModelShape } from '../shape.ts';
import { bytes, type Bytes } from '../../units/index.ts';
import { kvCaches } from './kv-state.ts';
import { DEFAULT_CONTEXT, resolveContext, type KvCacheType } from './settings.ts';

/** KV cache bytes that one token adds, by kind of layer. */
export interface KvBytesPerToken {
  /** Layers that keep every token of the context; rows that stand for several tokens count in part. */
  readonly fullAttention: Bytes;
  /** Layers that keep no more tokens than the window (and the batch) needs. */
  readonly slidingWindow: Bytes;
}

/** Long enough that every cache is larger than its padding; a multiple of every number of tokens to a row. */
const LONG_CONTEXT = 2 ** 20;

/** What a token adds to the caches of {@link kvCaches}, with flash attention. */
export function kvBytesPerToken(
  shape: ModelShape,
  cacheTypeK: KvCacheType,
  cacheTypeV: KvCacheType,
): KvBytesPerToken {
  const context = resolveContext({
    ...DEFAULT_CONTEXT,
    contextTokens: LONG_CONTEXT,
    cacheTypeK,
    cacheTypeV,
  });
  let fullAttention = 0;
  let slidingWindow = 0;
  for (const { kind, cells, layers } of kvCaches(shape, context)) {
    const cell = layers.reduce(
      (sum, { keyLength, valueLength }) =>
        sum + keyLength * bytesPerWeight(cacheTypeK) + valueLength * bytesPerWeight(cacheTypeV),
      0,
    );
    if (kind === 'window') slidingWindow += cell;
    else fullAttention += (cell * cells) / LONG_CONTEXT;
  }
  return { fullAttention: bytes(fullAttention), slidingWindow: bytes(slidingWindow) };
}
