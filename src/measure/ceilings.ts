import { GGML_TYPES, type GgmlTypeName } from '../model/index.ts';
import { median, medianInterval, sortSamples } from '../stats/index.ts';
import {
  bytesPerSecond,
  flopPerSecond,
  type Bytes,
  type BytesPerSecond,
  type FlopPerSecond,
  type Nanoseconds,
} from '../units/index.ts';

/** One matrix product to time: weights of `rows` x `columns` times a batch of activations. */
export interface Product {
  readonly type: GgmlTypeName;
  readonly rows: number;
  readonly columns: number;
  readonly batch: number;
}

/** A measured ceiling with the 95 % interval of its median, and the product that reached it. */
export interface Ceiling<Rate> {
  readonly value: Rate;
  readonly low: Rate;
  readonly high: Rate;
  readonly product: Product;
}

/** What this machine reached on the engine's own products. */
export interface Ceilings {
  readonly bandwidth: Ceiling<BytesPerSecond>;
  readonly matmul: Ceiling<FlopPerSecond>;
}

/** Weights of the models that `check` runs, and the plain types beside them. */
const TYPES = ['Q4_K', 'Q8_0'] as const satisfies readonly GgmlTypeName[];
const WIDTH = 4096;
/** llama.cpp's default ubatch: the batch of a prompt. */
const PROMPT_BATCH = 512;
/** A streamed matrix exceeds the last cache this many times, so that memory and not the cache is read. */
const CACHE_MULTIPLE = 4;
/** Streamed even where the cache is small or unknown: long enough that a call's own cost does not count. */
const MIN_STREAM_BYTES = 128 * 2 ** 20;

/** The quick reading: for each type one large-batch product for the matmul rate and one of a single row for bandwidth. */
export function ceilingProducts(lastLevelCacheBytes: Bytes | null): Product[] {
  const streamBytes = Math.max(MIN_STREAM_BYTES, (lastLevelCacheBytes ?? 0) * CACHE_MULTIPLE);
  return TYPES.flatMap((type) => {
    const { blockBytes, blockSize } = GGML_TYPES[type];
    const rowBytes = (WIDTH / blockSize) * blockBytes;
    const rows = Math.ceil(streamBytes / rowBytes / WIDTH) * WIDTH;
    return [
      { type, rows: WIDTH, columns: WIDTH, batch: PROMPT_BATCH },
      { type, rows, columns: WIDTH, batch: 1 },
    ];
  });
}

/**
 * The best of each kind: the bytes of the weights by the time of a single row, the operations by the time of a batch.
 * @throws RangeError when a kind is missing.
 */
export function ceilingsOf(
  timed: readonly { readonly product: Product; readonly samplesNanoseconds: readonly Nanoseconds[] }[],
): Ceilings {
  const rate = <Rate extends number>(
    single: boolean,
    work: (product: Product) => number,
    brand: (value: number) => Rate,
  ): Ceiling<Rate> => {
    const candidates = timed
      .filter(({ product }) => (product.batch === 1) === single)
      .map(({ product, samplesNanoseconds }): Ceiling<Rate> => {
        const perSecond = samplesNanoseconds.map((time) => (work(product) / time) * 1e9);
        const { low, high } = medianInterval(perSecond);
        return { value: brand(median(sortSamples(perSecond))), low: brand(low), high: brand(high), product };
      })
      .toSorted((a, b) => b.value - a.value);
    const [best] = candidates;
    if (best === undefined) throw new RangeError('no product of this kind was timed');
    return best;
  };
  return {
    bandwidth: rate(true, weightBytesOf, bytesPerSecond),
    matmul: rate(false, ({ rows, columns, batch }) => 2 * rows * columns * batch, flopPerSecond),
  };
}

function weightBytesOf({ type, rows, columns }: Product): number {
  const { blockBytes, blockSize } = GGML_TYPES[type];
  return ((rows * columns) / blockSize) * blockBytes;
}
