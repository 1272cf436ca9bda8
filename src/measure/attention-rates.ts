import { median, sortSamples } from '../stats/index.ts';
import { seconds, type Bytes, type Nanoseconds, type Seconds } from '../units/index.ts';

/** Attention of one new token, in layers that each have a cache of their own. */
export interface AttentionTest {
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headLength: number;
  readonly cells: number;
  readonly layers: number;
}

/**
 * Lengths of the heads of all models of the catalogue but those with a latent row, whose lengths are multiples of 64.
 * Each is timed: what no vector of the processor holds whole goes value by value (`ggml_vec_dot_f16`,
 * `ggml_vec_mad_f16`, ggml-cpu/vec.cpp and vec.h v0.5.0, by GGML_F16_STEP: 64 values with AVX-512, 128 with its FP16), so
 * that heads of 96 values took three times as long as those of 128 on a Zen 4.
 */
const HEAD_LENGTHS = [64, 80, 96, 128, 160, 256] as const;
const KEY_VALUE_HEADS = 8;
/** The query heads of most models that share heads of the cache. */
const SHARING_HEADS = 4 * KEY_VALUE_HEADS;
/**
 * The rows of a head lie as far apart as all heads of a token take, and the further, the less of the next row is
 * fetched ahead: with 32 heads of 64 values a row took 1.7 times as long as with 8, with 2 of 128 half as long.
 */
const OTHER_KEY_VALUE_HEADS = [2, 32] as const;
/** The lengths that nearly all models have; the others follow them. */
const USUAL_LENGTHS: ReadonlySet<number> = new Set([64, 128]);
const CELLS = 2048;
/** Keys and values, of two bytes each. */
const BYTES_PER_VALUE = 4;
/** As for streamed matrices: the caches of all layers together exceed the last cache of the processor this many times. */
const CACHE_MULTIPLE = 4;
const MIN_BYTES = 64 * 2 ** 20;
/** Caches of so many bytes are allocated even where the last cache of the processor is larger than any of today. */
const MAX_BYTES = 2 ** 30;

/**
 * For each length of heads one test in which every query head reads a row of its own, and one in which four share it;
 * for the usual lengths also with fewer and with more heads in the cache.
 */
export function attentionTests(lastLevelCacheBytes: Bytes | null): AttentionTest[] {
  const wanted = Math.min(MAX_BYTES, Math.max(MIN_BYTES, (lastLevelCacheBytes ?? 0) * CACHE_MULTIPLE));
  const testOf = (headLength: number, heads: number, keyValueHeads: number): AttentionTest => ({
    heads,
    keyValueHeads,
    headLength,
    cells: CELLS,
    layers: Math.ceil(wanted / (BYTES_PER_VALUE * headLength * keyValueHeads * CELLS)),
  });
  return HEAD_LENGTHS.flatMap((headLength) => [
    testOf(headLength, KEY_VALUE_HEADS, KEY_VALUE_HEADS),
    testOf(headLength, SHARING_HEADS, KEY_VALUE_HEADS),
    ...OTHER_KEY_VALUE_HEADS.filter(() => USUAL_LENGTHS.has(headLength)).map((count) =>
      testOf(headLength, count, count),
    ),
  ]);
}

/** What a new token's attention takes for each token in the cache and each head of the cache. */
export interface AttentionRate {
  /** Values of a key, and of a value, of one head. */
  readonly headLength: number;
  /** Heads of the cache, whose rows lie beside each other. */
  readonly keyValueHeads: number;
  /** Of the first query head that reads a row of the cache. */
  readonly firstHead: Seconds;
  /** Of every further one, which finds the row near. */
  readonly furtherHead: Seconds;
}

/** Tests of one round, each timed some times. */
export type TimedAttention = readonly {
  readonly test: AttentionTest;
  readonly samplesNanoseconds: readonly Nanoseconds[];
}[];

/**
 * The rates by length of heads and heads of the cache, from several rounds: the medians of the rounds' medians. Lengths
 * without a test in which heads share a row are left out.
 */
export function attentionRates(rounds: readonly TimedAttention[]): AttentionRate[] {
  const rows = rowTimes(rounds.flat());
  return rows.flatMap(({ headLength, heads, keyValueHeads, nanosecondsPerRow: shared }) => {
    const isShared = heads > keyValueHeads;
    const alone = rows.filter((row) => row.headLength === headLength && row.heads === row.keyValueHeads);
    const same = alone.find((row) => row.keyValueHeads === keyValueHeads);
    if (!isShared || same === undefined) return [];
    const queries = heads / keyValueHeads;
    // Noise alone could make four heads no slower than one: then each takes a share of the whole.
    const further =
      shared > same.nanosecondsPerRow ? (shared - same.nanosecondsPerRow) / (queries - 1) : shared / queries;
    return alone.map((row) => ({
      headLength,
      keyValueHeads: row.keyValueHeads,
      firstHead: seconds(Math.max(further, row.nanosecondsPerRow) / 1e9),
      furtherHead: seconds(further / 1e9),
    }));
  });
}

/** Nanoseconds that a test took for each cell and each head of the cache. */
type RowTime = Pick<AttentionTest, 'headLength' | 'heads' | 'keyValueHeads'> & {
  readonly nanosecondsPerRow: number;
};

function rowTimes(timed: TimedAttention): RowTime[] {
  const byTest = new Map<string, { readonly test: AttentionTest; readonly times: number[] }>();
  for (const { test, samplesNanoseconds } of timed) {
    if (samplesNanoseconds.length === 0) continue;
    const { headLength, heads, keyValueHeads, cells, layers } = test;
    const key = `${headLength} ${heads} ${keyValueHeads}`;
    const times = byTest.get(key)?.times ?? [];
    times.push(median(sortSamples(samplesNanoseconds)) / (layers * cells * keyValueHeads));
    byTest.set(key, { test, times });
  }
  return [...byTest.values()].map(({ test: { headLength, heads, keyValueHeads }, times }) => ({
    headLength,
    heads,
    keyValueHeads,
    nanosecondsPerRow: median(sortSamples(times)),
  }));
}
