import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tinyShape } from '../../../test/fixtures/tiny-shapes.ts';
import { GgufError, parseGgufHeader, planSyntheticFile, summariseHeader } from '../index.ts';
import { mergeParts } from './split.ts';

/** Headers of every kind of metadata, small: the vocabulary has the fewest tokens that a synthetic model has. */
const SEEDS = (['llama', 'qwen3moe', 'gpt-oss'] as const).map((architecture) =>
  planSyntheticFile({ shape: tinyShape(architecture, { vocabularySize: 300 }), mix: 'Q4_K_M' }),
);

/** Headers that are mutated and parsed. */
const RUNS = 100_000;
const SEED = 20_261_121;
/**
 * What the process may grow by meanwhile, bytes: the garbage that a collector leaves lying, and no buffer as long as a
 * length in a header says (the smallest of the values below that lies, 2^26 items, would be 512 MiB of pointers).
 */
const MEMORY_BOUND = 256 * 2 ** 20;
/** How often memory is looked at, runs. */
const LOOK_EVERY = 200;

/** Lengths, counts, offsets and types that break readers: ends of ranges, and what lies beside them. */
const BREAKING_NUMBERS = [0, 1, 7, 8, 9, 12, 13, 63, 64, 255, 65_535, 65_536]
  .map(BigInt)
  .concat([26n, 27n, 31n, 32n, 53n, 63n].flatMap((bit) => [2n ** bit - 1n, 2n ** bit, 2n ** bit + 1n]))
  .concat(2n ** 64n - 1n);

type Mutation = (bytes: Uint8Array) => Uint8Array;

function writeNumber(bytes: Uint8Array, at: number, size: 1 | 4 | 8, value: bigint): Uint8Array {
  for (let index = 0; index < size && at + index < bytes.length; index += 1) {
    bytes[at + index] = Number((value >> BigInt(8 * index)) & 255n);
  }
  return bytes;
}

const place = fc.oneof(
  // The counts at the start, the metadata after them, and the tensors at the end; between them lie the tokens.
  fc.nat(64).map((at) => (): number => at),
  fc.nat(1500).map((at) => (): number => at),
  fc.nat(1700).map(
    (back) =>
      (length: number): number =>
        Math.max(0, length - 1 - back),
  ),
  fc.double({ min: 0, max: 0.999, noNaN: true }).map(
    (share) =>
      (length: number): number =>
        Math.floor(share * length),
  ),
);

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc
    .tuple(place, fc.constantFrom(1 as const, 4 as const, 8 as const), fc.constantFrom(...BREAKING_NUMBERS))
    .map(
      ([at, size, value]): Mutation =>
        (bytes) =>
          writeNumber(bytes, at(bytes.length), size, value),
    ),
  fc.tuple(place, fc.nat(255)).map(
    ([at, value]): Mutation =>
      (bytes) =>
        writeNumber(bytes, at(bytes.length), 1, BigInt(value)),
  ),
  // A piece of the header a second time, over another: names twice, arrays in arrays, tensors in metadata.
  fc.tuple(place, place, fc.nat(48)).map(([from, to, length]): Mutation => (bytes) => {
    const start = from(bytes.length);
    return (bytes.copyWithin(to(bytes.length), start, start + length), bytes);
  }),
  place.map(
    (at): Mutation =>
      (bytes) =>
        bytes.slice(0, at(bytes.length)),
  ),
);

describe('reading hostile headers', () => {
  it(`ends ${RUNS} mutated headers in a result or a GgufError, in bounded time and memory`, () => {
    const outcomes = new Map<string, number>();
    const before = process.memoryUsage.rss();
    let runs = 0;
    let most = before;
    fc.assert(
      fc.property(
        fc.constantFrom(...SEEDS),
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        (seed, mutations, isWholeFile) => {
          const bytes = mutations.reduce<Uint8Array>((header, mutate) => mutate(header), seed.header.slice());
          const outcome = outcomeOf(bytes, isWholeFile ? bytes.length : seed.fileBytes);
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
          runs += 1;
          if (runs % LOOK_EVERY === 0) most = Math.max(most, process.memoryUsage.rss());
        },
      ),
      { numRuns: RUNS, seed: SEED },
    );
    expect(runs).toBe(RUNS);
    expect(outcomes.has('stuck')).toBe(false);
    expect(most - before).toBeLessThan(MEMORY_BOUND);
    // The mutations reach every check, and leave some headers sound.
    for (const code of ['sound', 'more', 'truncated', 'malformed', 'limit-exceeded', 'unsupported-type']) {
      expect([code, outcomes.get(code) ?? 0]).toEqual([code, expect.any(Number)]);
      expect(outcomes.get(code) ?? 0).toBeGreaterThan(100);
    }
  }, 60_000);
});

/** What reading comes to; every error that is no GgufError fails the property. */
function outcomeOf(bytes: Uint8Array, fileBytes: number): string {
  try {
    const progress = parseGgufHeader(bytes, fileBytes, 'test.gguf');
    if (!progress.complete) {
      return progress.neededBytes > bytes.length ? 'more' : 'stuck';
    }
    const { dataOffset, tensors } = progress.header;
    expect(dataOffset + tensors.reduce((sum, tensor) => sum + tensor.bytes, 0)).toBeLessThanOrEqual(
      fileBytes,
    );
    summariseHeader(mergeParts([progress.header], 'test.gguf'));
    return 'sound';
  } catch (error) {
    if (!(error instanceof GgufError)) throw error;
    return error.code;
  }
}
