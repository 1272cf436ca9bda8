import { describe, expect, it } from 'vitest';
import { exampleRecord } from '../../test/fixtures/measurement-record.ts';
import { sweepPoints, type SweepGrid } from './sweep-points.ts';

const model = (name: string): SweepGrid['models'][number] => ({
  facts: { ...exampleRecord().model, name },
  open: () => Promise.reject(new Error('not in this test')),
});
const GRID: SweepGrid = {
  models: [model('a'), model('b')],
  promptTokens: [512, 0],
  generatedTokens: [128],
  promptAndGenerated: [[512, 64]],
  depthTokens: [0, 4096],
  settings: {
    batchTokens: [2048],
    ubatchTokens: [512],
    threads: [1, 2],
    gpuLayers: [-1],
    cpuMoeLayers: [0],
    cacheTypeK: ['f16'],
    cacheTypeV: ['f16'],
    flashAttention: ['auto'],
  },
};

describe('the points of a sweep', () => {
  const lines = sweepPoints(GRID).map(
    ({ model: { facts }, settings, test }) =>
      `${facts.name} t${settings.threads} pp${test.promptTokens} tg${test.generatedTokens} d${test.depthTokens}`,
  );

  it('come in the order of llama-bench: model, settings, depth, then pp, tg, pg', () => {
    expect(lines.slice(0, 7)).toEqual([
      'a t1 pp512 tg0 d0',
      'a t1 pp0 tg128 d0',
      'a t1 pp512 tg64 d0',
      'a t1 pp512 tg0 d4096',
      'a t1 pp0 tg128 d4096',
      'a t1 pp512 tg64 d4096',
      'a t2 pp512 tg0 d0',
    ]);
  });

  it('are the whole product, without tests of no tokens', () => {
    expect(lines).toHaveLength(2 * 2 * 2 * 3);
    expect(new Set(lines).size).toBe(lines.length);
  });
});
