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
    for (const length of [64, 128, 256]) {
      const sharing = tests
        .filter(({ headLength }) => headLength === length)
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
  const timeOf = ({ heads, keyValueHeads, headLength, cells, layers }: AttentionTest, slow = 1): number =>
    slow * layers * cells * keyValueHeads * (headLength / 128) * (70 + 16 * (heads / keyValueHeads - 1));
  const round = (slow: number): Parameters<typeof attentionRates>[0][number] =>
    tests.map((test) => ({ test, samplesNanoseconds: [nanoseconds(timeOf(test, slow))] }));

  it('tell the head that fetches a row from those that find it there', () => {
    const rates = attentionRates([round(1)]);
    expect(rates.map(({ headLength }) => headLength)).toEqual([64, 128, 256]);
    const of128 = rates.find(({ headLength }) => headLength === 128);
    expect(of128?.firstHead).toBeCloseTo(70e-9, 12);
    expect(of128?.furtherHead).toBeCloseTo(16e-9, 12);
  });

  it('are those of the usual round, not of the luckiest', () => {
    const [rate] = attentionRates([round(1), round(0.5), round(1.1)]);
    expect(rate?.firstHead).toBeCloseTo(35e-9, 12);
  });

  it('are of lengths with both tests alone', () => {
    const alone = round(1).filter(({ test }) => test.headLength === 64 || test.heads === test.keyValueHeads);
    expect(attentionRates([alone]).map(({ headLength }) => headLength)).toEqual([64]);
  });

  it('never say that a row costs nothing to read again', () => {
    const noisy = tests.map((test) => ({ test, samplesNanoseconds: [nanoseconds(1e6)] }));
    for (const { firstHead, furtherHead } of attentionRates([noisy])) {
      expect(furtherHead).toBeGreaterThan(0);
      expect(firstHead).toBeGreaterThanOrEqual(furtherHead);
    }
  });
});
