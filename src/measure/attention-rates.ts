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

/** Lengths of nearly all models' heads. */
const HEAD_LENGTHS = [64, 128, 256] as const;
const KEY_VALUE_HEADS = 8;
/** One query head for each head of the cache, and the four of most models that share some. */
const QUERY_HEADS = [KEY_VALUE_HEADS, 4 * KEY_VALUE_HEADS] as const;
const CELLS = 2048;
/** Keys and values, of two bytes each. */
const BYTES_PER_VALUE = 4;
/** As for streamed matrices: the caches of all layers together exceed the last cache of the processor this many times. */
const CACHE_MULTIPLE = 4;
const MIN_BYTES = 64 * 2 ** 20;
/** Caches of so many bytes are allocated even where the last cache of the processor is larger than any of today. */
const MAX_BYTES = 2 ** 30;

/** For each length of heads one test in which every query head reads a row of its own, and one in which four share it. */
export function attentionTests(lastLevelCacheBytes: Bytes | null): AttentionTest[] {
  const wanted = Math.min(MAX_BYTES, Math.max(MIN_BYTES, (lastLevelCacheBytes ?? 0) * CACHE_MULTIPLE));
  return HEAD_LENGTHS.flatMap((headLength) => {
    const layers = Math.ceil(wanted / (BYTES_PER_VALUE * headLength * KEY_VALUE_HEADS * CELLS));
    return QUERY_HEADS.map((heads) => ({
      heads,
      keyValueHeads: KEY_VALUE_HEADS,
      headLength,
      cells: CELLS,
      layers,
    }));
  });
}

/** What a new token's attention takes for each token in the cache and each head of the cache. */
export interface AttentionRate {
  /** Values of a key, and of a value, of one head. */
  readonly headLength: number;
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

/** The rates by length of heads, from several rounds: the medians of the rounds' medians. Lengths that lack a test are left out. */
export function attentionRates(rounds: readonly TimedAttention[]): AttentionRate[] {
  const perRow = new Map<number, Map<number, number[]>>();
  for (const { test, samplesNanoseconds } of rounds.flat()) {
    if (samplesNanoseconds.length === 0) continue;
    const { headLength, heads, keyValueHeads, cells, layers } = test;
    const byHeads = perRow.get(headLength) ?? new Map<number, number[]>();
    perRow.set(headLength, byHeads);
    const time = median(sortSamples(samplesNanoseconds)) / (layers * cells * keyValueHeads);
    byHeads.set(heads / keyValueHeads, [...(byHeads.get(heads / keyValueHeads) ?? []), time]);
  }
  return [...perRow].flatMap(([headLength, byHeads]) => {
    const [few, many] = [...byHeads].sort(([a], [b]) => a - b);
    if (few === undefined || many === undefined) return [];
    const alone = median(sortSamples(few[1]));
    const shared = median(sortSamples(many[1]));
    // Noise alone could make four heads no slower than one: then each takes a share of the whole.
    const further = shared > alone ? (shared - alone) / (many[0] - few[0]) : shared / many[0];
    const first = Math.max(further, alone - further * (few[0] - 1));
    return [{ headLength, firstHead: seconds(first / 1e9), furtherHead: seconds(further / 1e9) }];
  });
}
