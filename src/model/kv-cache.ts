import { bytes, type Bytes } from '../units/index.ts';
import { bytesPerWeight, type GgmlTypeName } from './ggml-types.ts';
import { isSlidingWindowLayer, ofLayer, type ModelShape } from './shape.ts';
import { allLayers } from './tensors.ts';

/** KV cache bytes that one token adds, by kind of layer. */
export interface KvBytesPerToken {
  /** Layers that keep every token of the context. */
  readonly fullAttention: Bytes;
  /** Layers that keep no more tokens than the window (and the batch) needs. */
  readonly slidingWindow: Bytes;
}

/**
 * KV cache bytes for each token: kvHeads x head length x bytes a value, for K and for V, summed over the layers
 * (src/llama-kv-cache.cpp, release v0.5.0).
 * @param layers - indices of layers of the full model; absent: all of them.
 */
export function kvBytesPerToken(
  shape: ModelShape,
  typeK: GgmlTypeName,
  typeV: GgmlTypeName,
  layers: readonly number[] = allLayers(shape),
): KvBytesPerToken {
  let fullAttention = 0;
  let slidingWindow = 0;
  for (const layer of layers) {
    const heads = ofLayer(shape.kvHeads, layer);
    const perToken =
      heads * shape.keyHeadLength * bytesPerWeight(typeK) +
      heads * shape.valueHeadLength * bytesPerWeight(typeV);
    if (isSlidingWindowLayer(shape, layer)) slidingWindow += perToken;
    else fullAttention += perToken;
  }
  return { fullAttention: bytes(fullAttention), slidingWindow: bytes(slidingWindow) };
}
