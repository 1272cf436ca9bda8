import { describe, expect, it } from 'vitest';
import { GGML_TYPES, type GgmlTypeName } from '../ggml-types.ts';
import { dequantise } from '../../../test/fixtures/dequantise.ts';
import { fillRandomBlocks, SYNTHETIC_TYPES } from './blocks.ts';
import { fromHalf, toBrainFloat, toHalf } from './half-float.ts';
import { RandomBits } from './random-bits.ts';

const DEVIATION = 1 / 64;

function randomWeights(type: GgmlTypeName, seed = 7): Float64Array {
  const { blockBytes } = GGML_TYPES[type];
  const target = new Uint8Array(Math.ceil(400_000 / blockBytes) * blockBytes);
  fillRandomBlocks(type, target, DEVIATION, new RandomBits(seed));
  return dequantise(type, target);
}

function meanOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

describe('random blocks', () => {
  it.each(SYNTHETIC_TYPES)('of %s are finite, have mean 0 and the wanted deviation', (type) => {
    const weights = randomWeights(type);
    expect(weights.every((weight) => Number.isFinite(weight))).toBe(true);
    const mean = meanOf(weights);
    const deviation = Math.sqrt(meanOf(weights.map((weight) => weight * weight)));
    // A block's weights share a scale and its sign: four standard errors of the mean of the blocks.
    const blocks = weights.length / GGML_TYPES[type].blockSize;
    expect(Math.abs(mean)).toBeLessThan((4 * DEVIATION) / Math.sqrt(blocks));
    expect(deviation / DEVIATION).toBeGreaterThan(0.97);
    expect(deviation / DEVIATION).toBeLessThan(1.03);
  });

  it.each(SYNTHETIC_TYPES)('of %s are seldom zero and differ from one another', (type) => {
    const weights = randomWeights(type);
    const zeros = weights.filter((weight) => weight === 0).length;
    expect(zeros / weights.length).toBeLessThan(0.13); // one FP4 code in eight is a zero
    expect(randomWeights(type, 8)).not.toEqual(weights);
  });

  it('are the same for the same seed', () => {
    expect(randomWeights('Q4_K')).toEqual(randomWeights('Q4_K'));
  });

  it('of Q8_0 never hold -128, which the quantiser does not write', () => {
    const target = new Uint8Array(34 * 10_000);
    fillRandomBlocks('Q8_0', target, 1, new RandomBits(1));
    const codes = Array.from(target).filter((_, index) => index % 34 >= 2);
    expect(codes).not.toContain(0x80);
  });

  it('cannot be made of types without a generator, nor for part of a block', () => {
    const random = new RandomBits(1);
    expect(() => fillRandomBlocks('IQ1_S', new Uint8Array(50), 1, random)).toThrow(/type IQ1_S/);
    expect(() => fillRandomBlocks('Q4_0', new Uint8Array(17), 1, random)).toThrow(/no whole number/);
  });
});

describe('half-precision numbers', () => {
  it('survive the way there and back to 11 bits', () => {
    const random = new RandomBits(3);
    for (let run = 0; run < 10_000; run += 1) {
      const value = random.gaussian() * 10 ** (random.uniform() * 7 - 4);
      expect(Math.abs(fromHalf(toHalf(value)) - value)).toBeLessThanOrEqual(
        Math.max(Math.abs(value) * 2 ** -11, 2 ** -25),
      );
    }
  });

  it('are finite however large the value', () => {
    expect(fromHalf(toHalf(1e9))).toBe(65_504);
    expect(fromHalf(toHalf(-1e9))).toBe(-65_504);
    expect(fromHalf(toHalf(65_519))).toBe(65_504);
  });

  it('take known bit patterns', () => {
    expect([1, -2, 0.5, 2 ** -24].map(toHalf)).toEqual([0x3c00, 0xc000, 0x3800, 0x0001]);
    expect([1, -2, 3.140625].map(toBrainFloat)).toEqual([0x3f80, 0xc000, 0x4049]);
  });
});
