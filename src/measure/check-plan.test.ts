import { describe, expect, it } from 'vitest';
import { tinyShape } from '../../test/fixtures/tiny-shapes.ts';
import { bytes, bytesPerSecond, flopPerSecond } from '../units/index.ts';
import { planCheck } from './check-plan.ts';
import { LayerPlanError, type LayerLimits } from './layer-plan.ts';

const UNLIMITED: LayerLimits = { memoryBytes: null, diskBytes: null, lastLevelCacheBytes: null };
const shape = tinyShape('llama', { layers: 32 });
/** A machine on which the sampled layers of the tiny shape take about this many seconds for a prompt of 512. */
const machine = (promptSeconds: number) => ({
  matmul: flopPerSecond((2 * 512 * 12 * 0.66e6) / promptSeconds / 0.6),
  bandwidth: bytesPerSecond(1e12),
});

describe('the plan of a check', () => {
  it('takes llama-bench’s own lengths and the usual layers on a fast machine', () => {
    expect(planCheck(shape, 'Q4_0', machine(0.1), UNLIMITED, false)).toMatchObject({
      layers: [4, 8],
      promptTokens: 512,
      generatedTokens: 128,
      depthTokens: 2048,
    });
  });

  it('shortens the prompt, then the layers, on a slow one', () => {
    expect(planCheck(shape, 'Q4_0', machine(10), UNLIMITED, false)).toMatchObject({
      layers: [4, 8],
      promptTokens: 128,
    });
    expect(planCheck(shape, 'Q4_0', machine(60), UNLIMITED, false)).toMatchObject({
      layers: [2, 4],
      promptTokens: 64,
    });
  });

  it('leaves long prompts out when it must be quick', () => {
    expect(planCheck(shape, 'Q4_0', machine(0.1), UNLIMITED, true).depthTokens).toBeNull();
  });

  it('gives up with the reason when nothing fits', () => {
    const limits = { ...UNLIMITED, memoryBytes: bytes(1000) };
    expect(() => planCheck(shape, 'Q4_0', machine(1), limits, false)).toThrow(LayerPlanError);
  });
});
