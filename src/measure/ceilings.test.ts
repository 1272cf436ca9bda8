import { describe, expect, it } from 'vitest';
import { GGML_TYPES } from '../model/index.ts';
import { bytes, nanoseconds } from '../units/index.ts';
import { ceilingProducts, ceilingsOf, type Product } from './ceilings.ts';

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
