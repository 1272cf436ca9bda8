import { GGML_TYPES, type GgmlTypeName } from '../ggml-types.ts';
import { ofLayer, type ModelShape } from '../shape.ts';
import { bytes, type Bytes } from '../../units/index.ts';
import { isQuantised, paddedCells, type ResolvedContext } from './settings.ts';

/** One KV cache, as llama.cpp makes and logs it. */
export interface KvCache {
  /**
   * `attention` holds every token, `window` the last ones; `indexer` the keys by which tokens are chosen;
   * `compressed` rows that stand for several tokens.
   */
  readonly kind: 'attention' | 'window' | 'indexer' | 'compressed';
  /** Cells of each stream. */
  readonly cells: number;
  readonly streams: number;
  readonly layers: readonly CachedLayer[];
}

export interface CachedLayer {
  readonly layer: number;
  /** Values of one cell. */
  readonly keyLength: number;
  /** 0: keys alone are kept. */
  readonly valueLength: number;
  readonly keyBytes: Bytes;
  readonly valueBytes: Bytes;
}

/** A cache that the engine refuses to make, in its own words. */
export interface Unsupported {
  readonly unsupported: string;
}

/**
 * Architectures whose windows the engine knows. Others may have published a window (Mistral, Phi 3) that it ignores:
 * they keep every token (`load_swa_pattern`, `swa_type` in src/models, release v0.5.0).
 */
const ENGINE_IGNORES_WINDOW: ReadonlySet<string> = new Set([
  'llama',
  'mistral3',
  'phi3',
  'phimoe',
  'qwen2',
  'qwen3',
]);

export const hasWindowCache = (shape: ModelShape): boolean =>
  shape.slidingWindow !== null && !ENGINE_IGNORES_WINDOW.has(shape.architecture);

/** Whether a layer lies in the cache of windows rather than in that of the whole context. */
export const isWindowed = (shape: ModelShape, layer: number): boolean =>
  hasWindowCache(shape) && shape.slidingWindow !== null && ofLayer(shape.slidingWindow.onLayers, layer);

/** One compressed row is kept and serves as key and value (`is_mla`, src/llama-hparams.cpp). */
export const keepsKeysOnly = (shape: ModelShape): boolean =>
  shape.latentAttention !== null || shape.compressedAttention !== null;

/** `n_embd_k_gqa`: values of a key row of all heads. */
export function keyRowLength(shape: ModelShape, layer: number): number {
  const window = isWindowed(shape, layer) ? shape.slidingWindow : null;
  return ofLayer(shape.kvHeads, layer) * (window?.keyHeadLength ?? shape.keyHeadLength);
}

/** `n_embd_v_gqa`. */
export function valueRowLength(shape: ModelShape, layer: number): number {
  const window = isWindowed(shape, layer) ? shape.slidingWindow : null;
  return ofLayer(shape.kvHeads, layer) * (window?.valueHeadLength ?? shape.valueHeadLength);
}

/** `n_embd_v_gqa_max`: without flash attention the values are transposed, and every layer gets the widest row. */
export function widestValueRow(shape: ModelShape): number {
  return Math.max(...shape.kvHeads.map((_, layer) => valueRowLength(shape, layer)));
}

/** The layers with a KV cache (`has_kv` and the filters of `create_memory`, src/llama-model.cpp). */
export function cachedLayers(shape: ModelShape): readonly number[] {
  const before = CACHED_LAYERS.get(shape);
  if (before !== undefined) return before;
  const layers = layersWithCache(shape);
  CACHED_LAYERS.set(shape, layers);
  return layers;
}

const CACHED_LAYERS = new WeakMap<ModelShape, readonly number[]>();

function layersWithCache(shape: ModelShape): number[] {
  const own = shape.layers - shape.sharedKvLayers;
  const hybrid = shape.recurrent !== null;
  return shape.kvHeads.flatMap((heads, layer) => (layer < own && (!hybrid || heads > 0) ? [layer] : []));
}

/** `LLAMA_MAX_SEQ`, src/llama-cparams.h. */
const MOST_SEQUENCES = 256;

/**
 * The checks of `llama_init_from_model` and then of the constructor of `llama_context` (src/llama-context.cpp), in their
 * order and words.
 */
export function refusalOf(shape: ModelShape, context: ResolvedContext): Unsupported | null {
  const refusal = cacheTypeRefusal(shape, context);
  if (refusal !== null || context.sequences <= MOST_SEQUENCES) return refusal;
  return { unsupported: `n_seq_max must be <= ${MOST_SEQUENCES}` };
}

function cacheTypeRefusal(shape: ModelShape, context: ResolvedContext): Unsupported | null {
  const { cacheTypeK, cacheTypeV, flashAttention } = context;
  const name = (type: GgmlTypeName): string => (type.startsWith('I') ? type.toLowerCase() : ggmlName(type));
  if (keepsKeysOnly(shape) && cacheTypeK !== cacheTypeV) {
    return {
      unsupported: `model does not support different K (${name(cacheTypeK)}) and V (${name(cacheTypeV)}) cache types`,
    };
  }
  if (isQuantised(cacheTypeV) && !flashAttention) {
    return { unsupported: 'quantized V cache requires flash_attn to be enabled' };
  }
  if (!flashAttention) return null;
  const sides = [
    { side: 'K', member: 'n_embd_head_k', type: cacheTypeK, full: shape.keyHeadLength },
    { side: 'V', member: 'n_embd_head_v', type: cacheTypeV, full: shape.valueHeadLength },
  ] as const;
  for (const { side, member, type, full } of sides) {
    if (!isQuantised(type)) continue;
    const { blockSize } = GGML_TYPES[type];
    const windowed = side === 'K' ? shape.slidingWindow?.keyHeadLength : shape.slidingWindow?.valueHeadLength;
    for (let layer = 0; layer < shape.layers; layer += 1) {
      const length = isWindowed(shape, layer) ? (windowed ?? full) : full;
      if (length % blockSize !== 0) {
        return {
          unsupported: `${side} cache type ${name(type)} with block size ${blockSize} does not divide ${member}=${length}`,
        };
      }
    }
  }
  return null;
}

/** `ggml_type_name`. */
const ggmlName = (type: GgmlTypeName): string => type.toLowerCase().replace(/_k$/, '_K');

/** The KV caches of a context. The rules are those of `create_memory`; see each function for its source. */
export function kvCaches(shape: ModelShape, context: ResolvedContext): KvCache[] {
  if (shape.compressedAttention !== null) return compressedCaches(shape, context);
  const layers = cachedLayers(shape);
  const full = layers.filter((layer) => !isWindowed(shape, layer));
  const windowed = layers.filter((layer) => isWindowed(shape, layer));
  const caches: KvCache[] = [];
  const { sequenceTokens, streams } = context;
  if (full.length > 0) {
    caches.push(cacheOf('attention', sequenceTokens, streams, shape, context, full));
  }
  if (windowed.length > 0) {
    caches.push(cacheOf('window', windowCells(shape, context), streams, shape, context, windowed));
  }
  if (shape.indexer !== null && layers.length > 0) caches.push(indexerCache(shape, context));
  return caches;
}

/** `size_swa`, src/llama-kv-cache-iswa.cpp: the window, what a ubatch adds before old tokens go, and padding. */
export function windowCells(
  shape: ModelShape,
  { sequenceTokens, streams, sequences, ubatchTokens }: ResolvedContext,
): number {
  const size = shape.slidingWindow?.size ?? 0;
  const windows = size * (streams === 1 ? sequences : 1);
  return paddedCells(Math.min(sequenceTokens, windows + ubatchTokens));
}

function cacheOf(
  kind: KvCache['kind'],
  cells: number,
  streams: number,
  shape: ModelShape,
  context: ResolvedContext,
  layers: readonly number[],
): KvCache {
  const values = (layer: number): number => {
    if (keepsKeysOnly(shape)) return 0;
    return context.flashAttention ? valueRowLength(shape, layer) : widestValueRow(shape);
  };
  const rows = layers.map((layer) => ({ layer, key: keyRowLength(shape, layer), value: values(layer) }));
  return cacheOfRows(kind, cells, streams, context, rows);
}

export interface CacheRow {
  readonly layer: number;
  readonly key: number;
  readonly value: number;
}

export function cacheOfRows(
  kind: KvCache['kind'],
  cells: number,
  streams: number,
  { cacheTypeK, cacheTypeV }: ResolvedContext,
  rows: readonly CacheRow[],
): KvCache {
  return {
    kind,
    cells,
    streams,
    layers: rows.map(({ layer, key, value }) => ({
      layer,
      keyLength: key,
      valueLength: value,
      keyBytes: bytes(rowBytes(cacheTypeK, key) * cells * streams),
      valueBytes: bytes(rowBytes(cacheTypeV, value) * cells * streams),
    })),
  };
}

/** `ggml_row_size`. */
function rowBytes(type: GgmlTypeName, length: number): number {
  const { blockSize, blockBytes } = GGML_TYPES[type];
  return (length / blockSize) * blockBytes;
}

/**
 * One key head of the indexer's length for each layer that owns an indexer: src/llama-kv-cache-dsa.cpp, and
 * src/llama-kv-cache-msa.cpp (MiniMax M3), which keeps a row of values beside it.
 */
function indexerCache(shape: ModelShape, context: ResolvedContext): KvCache {
  const { indexer } = shape;
  const length = indexer?.headLength ?? 0;
  const value = keepsKeysOnly(shape) ? 0 : shape.valueHeadLength;
  const rows = cachedLayers(shape)
    .filter((layer) => indexer?.onLayers[layer] === true)
    .map((layer) => ({
      layer,
      key: length,
      value: context.flashAttention ? value : widestIndexerValue(shape),
    }));
  return cacheOfRows('indexer', context.sequenceTokens, context.streams, context, rows);
}

/** The transposed values of the indexer are as wide as one head of the main cache. */
const widestIndexerValue = (shape: ModelShape): number => (keepsKeysOnly(shape) ? 0 : shape.valueHeadLength);

/** Ratios of the two kinds of compressed layers (`DSV4_CSA_RATIO`, `DSV4_HCA_RATIO`, src/llama-kv-cache-dsv4.cpp). */
export const CSA_RATIO = 4;
export const HCA_RATIO = 128;

/**
 * DeepSeek V4: a window on every layer, and rows that stand for 4 or 128 tokens; all of it for each sequence by
 * itself, whatever the unified cache says (src/llama-kv-cache-dsv4.cpp).
 */
function compressedCaches(shape: ModelShape, context: ResolvedContext): KvCache[] {
  const own: ResolvedContext = { ...context, streams: context.sequences };
  const ratios = shape.compressedAttention?.ratios ?? [];
  const key = shape.keyHeadLength;
  const rows = (ratio: number | null, length: number): CacheRow[] =>
    ratios.flatMap((each, layer) =>
      ratio === null || each === ratio ? [{ layer, key: length, value: 0 }] : [],
    );
  const cells = (ratio: number): number => paddedCells(Math.ceil(context.sequenceTokens / ratio));
  const windowed = paddedCells(
    Math.min(context.sequenceTokens, (shape.slidingWindow?.size ?? 0) + context.ubatchTokens),
  );
  return [
    cacheOfRows('window', windowed, own.streams, own, rows(null, key)),
    cacheOfRows('compressed', cells(CSA_RATIO), own.streams, own, rows(CSA_RATIO, key)),
    cacheOfRows('compressed', cells(HCA_RATIO), own.streams, own, rows(HCA_RATIO, key)),
    cacheOfRows(
      'indexer',
      cells(CSA_RATIO),
      own.streams,
      own,
      rows(CSA_RATIO, shape.indexer?.headLength ?? 0),
    ),
  ];
}
