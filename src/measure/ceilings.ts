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
/**
 * A streamed matrix exceeds the last cache this many times, as the largest set of `probe bandwidth` does. With less a
 * part of it stays: on two cores of a Zen 4 (32 MiB) products of Q4_K, Q8_0 and Q6_K reached 35 GB/s with a matrix of
 * 128 MiB, 33 with 256, and 31 with 512 MiB and with 1 GiB, which is what whole models reach.
 */
const CACHE_MULTIPLE = 8;
/** No longer is needed than this, unless the cache itself is so large. */
const MAX_STREAM_BYTES = 2 ** 30;
const LEAST_CACHE_MULTIPLE = 4;
/** Streamed even where the cache is small or unknown: long enough that a call's own cost does not count. */
const MIN_STREAM_BYTES = 128 * 2 ** 20;

/**
 * Types of weights that the usual mixes are made of: what a machine reaches with each tells how files run in which
 * others are mixed. Those are left out that cannot be quantised without an importance matrix (`ggml_quantize_chunk`),
 * and those that hardly any file has.
 */
export const MIX_TYPES = [
  'F16',
  'BF16',
  'Q8_0',
  'Q6_K',
  'Q5_K',
  'Q4_K',
  'Q4_0',
  'IQ4_XS',
  'MXFP4',
  'Q3_K',
  'IQ3_S',
  'Q2_K',
] as const satisfies readonly GgmlTypeName[];

/** The quick reading: for each type one large-batch product for the matmul rate and one of a single row for bandwidth. */
export function ceilingProducts(
  lastLevelCacheBytes: Bytes | null,
  types: readonly GgmlTypeName[] = TYPES,
): Product[] {
  const cache = lastLevelCacheBytes ?? 0;
  const streamBytes = Math.max(
    MIN_STREAM_BYTES,
    Math.min(cache * CACHE_MULTIPLE, MAX_STREAM_BYTES),
    cache * LEAST_CACHE_MULTIPLE,
  );
  return types.flatMap((type) => {
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

/** What a machine reaches with weights of one type. */
export interface TypeRates {
  readonly type: GgmlTypeName;
  /** Of a product with a prompt's batch. */
  readonly flopPerSecond: FlopPerSecond;
  /** Of the weights, when they are multiplied with a single row. */
  readonly bytesPerSecond: BytesPerSecond;
}

/** Rates by type, and the fastest single products of all: nothing that the engine does is faster than those. */
export interface RatesByType {
  readonly types: readonly TypeRates[];
  readonly fastestBytesPerSecond: BytesPerSecond;
  readonly fastestFlopPerSecond: FlopPerSecond;
}

/** The products of one round, each timed some times. */
export type TimedRound = readonly {
  readonly product: Product;
  readonly samplesNanoseconds: readonly Nanoseconds[];
}[];

/**
 * Rates by type from several rounds over the same products: the median of the rounds' medians. The best of them would
 * make those types fast that were timed in a lucky moment. A type that lacks a kind is left out.
 * @throws RangeError when no type has both kinds.
 */
export function ratesByType(rounds: readonly TimedRound[]): RatesByType {
  const medians = new Map<string, number[]>();
  const fastest = { single: 0, batch: 0 };
  for (const { product, samplesNanoseconds } of rounds.flat()) {
    if (samplesNanoseconds.length === 0) continue;
    const kind = product.batch === 1 ? 'single' : 'batch';
    const work =
      kind === 'single' ? weightBytesOf(product) : 2 * product.rows * product.columns * product.batch;
    const sorted = sortSamples(samplesNanoseconds);
    const key = `${product.type} ${kind}`;
    medians.set(key, [...(medians.get(key) ?? []), (work / median(sorted)) * 1e9]);
    fastest[kind] = Math.max(fastest[kind], (work / sorted[0]) * 1e9);
  }
  const types = [...new Set(rounds.flat().map(({ product }) => product.type))].flatMap((type) => {
    const streamed = medians.get(`${type} single`);
    const multiplied = medians.get(`${type} batch`);
    if (streamed === undefined || multiplied === undefined) return [];
    return [
      {
        type,
        flopPerSecond: flopPerSecond(median(sortSamples(multiplied))),
        bytesPerSecond: bytesPerSecond(median(sortSamples(streamed))),
      },
    ];
  });
  if (types.length === 0) throw new RangeError('no type was timed both ways');
  return {
    types,
    fastestBytesPerSecond: bytesPerSecond(fastest.single),
    fastestFlopPerSecond: flopPerSecond(fastest.batch),
  };
}

function weightBytesOf({ type, rows, columns }: Product): number {
  const { blockBytes, blockSize } = GGML_TYPES[type];
  return ((rows * columns) / blockSize) * blockBytes;
}
