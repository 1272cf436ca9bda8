import { describe, expect, it } from 'vitest';
import { GGML_TYPES, type GgmlTypeName } from '../ggml-types.ts';
import { engineTypes } from '../../../test/fixtures/engine-dequantise.ts';
import { dequantise } from '../../../test/fixtures/dequantise.ts';
import { fillRandomBlocks, SYNTHETIC_TYPES } from './blocks.ts';
import { fromHalf, toBrainFloat, toHalf } from './half-float.ts';
import { RandomBits } from './random-bits.ts';

const DEVIATION = 1 / 64;

const ENGINE = engineTypes();

/** Blocks that stand for two hundred thousand weights. */
function randomBlocks(type: GgmlTypeName, seed = 7): Uint8Array {
  const { blockSize, blockBytes } = GGML_TYPES[type];
  const target = new Uint8Array(Math.ceil(200_000 / blockSize) * blockBytes);
  fillRandomBlocks(type, target, DEVIATION, new RandomBits(seed));
  return target;
}

/** As the engine reads the blocks; as the slow fixture does where there is no engine. */
function randomWeights(type: GgmlTypeName, seed = 7): Float64Array {
  const target = randomBlocks(type, seed);
  const own = ENGINE?.(type).dequantise ?? null;
  return own === null ? dequantise(type, target) : Float64Array.from(own(target));
}

/** Types that have few values, so that many are zero: of every weight a third, a quarter, or an eighth. */
const COARSE: ReadonlySet<GgmlTypeName> = new Set<GgmlTypeName>(['TQ1_0', 'TQ2_0', 'Q2_0', 'NVFP4', 'Q3_K']);
const READABLE = SYNTHETIC_TYPES.filter((type) => ENGINE !== null || isReadable(type));

function isReadable(type: GgmlTypeName): boolean {
  try {
    dequantise(type, new Uint8Array(0));
    return true;
  } catch {
    return false;
  }
}

function meanOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

describe('random blocks', () => {
  it.each(READABLE)('of %s are finite, have mean 0 and the wanted deviation', (type) => {
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

  it.each(READABLE)('of %s are seldom zero and differ from one another', (type) => {
    const weights = randomWeights(type);
    const zeros = weights.filter((weight) => weight === 0).length;
    expect(zeros / weights.length).toBeLessThan(COARSE.has(type) ? 0.36 : 0.13); // one FP4 code in eight is a zero
    expect(randomWeights(type, 8)).not.toEqual(weights);
  });

  it.skipIf(ENGINE === null).each(['Q4_0', 'Q5_1', 'Q8_0', 'Q4_K', 'Q5_K', 'Q6_K', 'MXFP4'] as const)(
    'of %s mean to the engine what the layouts say',
    (type) => {
      const blocks = randomBlocks(type);
      const own = ENGINE?.(type).dequantise?.(blocks) ?? [];
      const expected = dequantise(type, blocks);
      const apart = expected.map((weight, index) => Math.abs(weight - (own[index] ?? Number.NaN)));
      expect(apart.reduce((most, each) => Math.max(most, each), 0)).toBeLessThan(1e-6);
    },
  );

  it.skipIf(ENGINE === null)('of every type have the size that the engine gives them', () => {
    for (const type of SYNTHETIC_TYPES) {
      const { blockSize, blockBytes } = GGML_TYPES[type];
      expect(ENGINE?.(type)).toMatchObject({
        name: type.toLowerCase().replace('_k', '_K'),
        blockSize,
        blockBytes,
      });
    }
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
    expect(() => fillRandomBlocks('Q8_K', new Uint8Array(292), 1, random)).toThrow(/type Q8_K/);
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
