import { describe, expect, it } from 'vitest';
import { GGML_TYPES } from '../model/index.ts';
import { bytes, nanoseconds } from '../units/index.ts';
import { ceilingProducts, ceilingsOf, MIX_TYPES, ratesByType, type Product } from './ceilings.ts';

const product = (type: Product['type'], batch: number): Product => ({
  type,
  rows: 1024,
  columns: 256,
  batch,
});
const timed = (of: Product, ...times: number[]) => ({
  product: of,
  samplesNanoseconds: times.map(nanoseconds),
});

describe('ceilings', () => {
  it('are bytes of weights by the time of one row, and operations by the time of a batch', () => {
    const { bandwidth, matmul } = ceilingsOf([
      timed(product('Q8_0', 1), 1000, 1000, 1000),
      timed(product('Q8_0', 512), 1_000_000, 1_000_000, 1_000_000),
    ]);
    // 8 blocks of 34 bytes a row, 1024 rows, in 1 µs.
    expect(bandwidth.value).toBeCloseTo(278.528e9, -3);
    // 2 x 1024 x 256 x 512 operations in 1 ms.
    expect(matmul.value).toBeCloseTo(268.435456e9, -3);
  });

  it('are those of the type that did best', () => {
    const slow = timed(product('Q4_K', 1), 4000, 4000, 4000);
    const { bandwidth } = ceilingsOf([slow, timed(product('Q8_0', 1), 1000), timed(product('Q4_K', 512), 9)]);
    expect(bandwidth.product.type).toBe('Q8_0');
  });

  it('stream a matrix that no cache holds', () => {
    const cache = bytes(96 * 2 ** 20);
    const streamed = ceilingProducts(cache).filter(({ batch }) => batch === 1);
    expect(streamed.map(({ type }) => type)).toEqual(['Q4_K', 'Q8_0']);
    for (const { type, rows, columns } of streamed) {
      const { blockBytes, blockSize } = GGML_TYPES[type];
      expect((rows * columns * blockBytes) / blockSize).toBeGreaterThanOrEqual(4 * cache);
    }
  });
});

describe('rates by type', () => {
  it('are the medians of the rounds, and the fastest single products beside', () => {
    const disturbed = [
      timed(product('Q4_K', 1), 9000, 9000, 9000),
      timed(product('Q4_K', 512), 3e6, 3e6, 3e6),
    ];
    const quiet = [timed(product('Q4_K', 1), 1000, 2000, 3000), timed(product('Q4_K', 512), 5e5, 1e6, 1e6)];
    const rates = ratesByType([quiet, disturbed, quiet]);
    // 1024 blocks of 144 bytes in 2 µs.
    expect(rates.types.map(({ type, bytesPerSecond }) => [type, bytesPerSecond / 1e9])).toEqual([
      ['Q4_K', 73.728],
    ]);
    expect(rates.types[0]?.flopPerSecond).toBeCloseTo(268.435456e9, -3);
    expect(rates.fastestBytesPerSecond).toBeCloseTo(147.456e9, -3);
    expect(rates.fastestFlopPerSecond).toBeCloseTo(536.870912e9, -3);
  });

  it('leave out a type that was not timed both ways, and refuse when none is left', () => {
    const both = [timed(product('Q8_0', 1), 1000), timed(product('Q8_0', 512), 1000)];
    const half = [timed(product('Q4_K', 1), 1000), timed(product('Q4_K', 512))];
    expect(ratesByType([[...both, ...half]]).types.map(({ type }) => type)).toEqual(['Q8_0']);
    expect(() => ratesByType([half])).toThrow(RangeError);
  });

  it('are taken of a product of each kind for each type', () => {
    expect(ceilingProducts(null, MIX_TYPES)).toHaveLength(2 * MIX_TYPES.length);
  });
});
