import { describe, expect, it } from 'vitest';
import { bytes, nanoseconds } from '../units/index.ts';
import { attentionRates, attentionTests, type AttentionTest } from './attention-rates.ts';

const MIB = 2 ** 20;

describe('the tests of attention', () => {
  it('are of caches that exceed the last cache, and that some query heads share', () => {
    const tests = attentionTests(bytes(32 * MIB));
    for (const { keyValueHeads, headLength, cells, layers } of tests) {
      const cacheBytes = layers * cells * keyValueHeads * headLength * 2 * 2;
      expect(cacheBytes).toBeGreaterThanOrEqual(128 * MIB);
      expect(cacheBytes).toBeLessThan(160 * MIB);
    }
    for (const length of [64, 96, 128, 256]) {
      const sharing = tests
        .filter(({ headLength, keyValueHeads }) => headLength === length && keyValueHeads === 8)
        .map(({ heads, keyValueHeads }) => heads / keyValueHeads);
      expect(sharing).toEqual([1, 4]);
    }
  });

  it('stay affordable where the last cache is unknown or huge', () => {
    for (const cache of [null, bytes(4096 * MIB)]) {
      for (const { keyValueHeads, headLength, cells, layers } of attentionTests(cache)) {
        expect(layers * cells * keyValueHeads * headLength * 4).toBeLessThanOrEqual(1100 * MIB);
      }
    }
  });
});

describe('the rates of attention', () => {
  const tests = attentionTests(null);
  // 70 ns for the first query head of a row of 128 values, 16 for every further one: two cores of a Zen 4.
  // It waits longer where more heads lie between a row and the next.
  const timeOf = ({ heads, keyValueHeads, headLength, cells, layers }: AttentionTest, slow = 1): number => {
    const wait = 54 * Math.sqrt(keyValueHeads / 8);
    return slow * layers * cells * keyValueHeads * (headLength / 128) * (wait + 16 * (heads / keyValueHeads));
  };
  const round = (slow: number): Parameters<typeof attentionRates>[0][number] =>
    tests.map((test) => ({ test, samplesNanoseconds: [nanoseconds(timeOf(test, slow))] }));

  it('tell the head that fetches a row from those that find it there', () => {
    const rates = attentionRates([round(1)]);
    expect(new Set(rates.map(({ headLength }) => headLength))).toEqual(new Set([64, 80, 96, 128, 160, 256]));
    const of128 = rates.find(({ headLength, keyValueHeads }) => headLength === 128 && keyValueHeads === 8);
    expect(of128?.firstHead).toBeCloseTo(70e-9, 12);
    expect(of128?.furtherHead).toBeCloseTo(16e-9, 12);
  });

  it('tell how much longer a row takes that lies further from the next', () => {
    const waits = attentionRates([round(1)])
      .filter(({ headLength }) => headLength === 128)
      .map(({ keyValueHeads, firstHead, furtherHead }) => [keyValueHeads, (firstHead - furtherHead) * 1e9]);
    expect(waits.map(([heads]) => heads)).toEqual([8, 2, 32]);
    expect(waits.map(([, wait]) => Math.round(wait ?? Number.NaN))).toEqual([54, 27, 108]);
  });

  it('are those of the usual round, not of the luckiest', () => {
    const [rate] = attentionRates([round(1), round(0.5), round(1.1)]);
    expect(rate?.firstHead).toBeCloseTo(35e-9, 12);
  });

  it('are of lengths with both tests alone', () => {
    const alone = round(1).filter(({ test }) => test.headLength === 64 || test.heads === test.keyValueHeads);
    expect(new Set(attentionRates([alone]).map(({ headLength }) => headLength))).toEqual(new Set([64]));
  });

  it('never say that a row costs nothing to read again', () => {
    const noisy = tests.map((test) => ({ test, samplesNanoseconds: [nanoseconds(1e6)] }));
    for (const { firstHead, furtherHead } of attentionRates([noisy])) {
      expect(furtherHead).toBeGreaterThan(0);
      expect(firstHead).toBeGreaterThanOrEqual(furtherHead);
    }
  });
});
