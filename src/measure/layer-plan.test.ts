import { describe, expect, it } from 'vitest';
import { tinyShape } from '../../test/fixtures/tiny-shapes.ts';
import { bytes } from '../units/index.ts';
import { LayerPlanError, planLayers, type LayerLimits } from './layer-plan.ts';

const UNLIMITED: LayerLimits = { memoryBytes: null, diskBytes: null, lastLevelCacheBytes: null };
const shape = tinyShape('llama', { layers: 32 });
const counts = (choice: Parameters<typeof planLayers>[2], limits = UNLIMITED): number[] =>
  planLayers(shape, 'Q4_0', choice, limits).samples.map((layers) => layers.length);

describe('the layers that stand for a model', () => {
  it('are four and two fifths of a deep model', () => {
    expect(counts('auto')).toEqual([4, 12]);
  });

  it('are all of a model too shallow for sampling', () => {
    const shallow = tinyShape('llama', { layers: 10 });
    expect(planLayers(shallow, 'Q4_0', 'auto', UNLIMITED).samples).toHaveLength(1);
    expect(counts('all')).toEqual([32]);
  });

  it('are more where four would stay in the cache, and all where even half would', () => {
    const layerBytes = 0.37 * 2 ** 20;
    const cache = (layers: number): LayerLimits => ({
      ...UNLIMITED,
      lastLevelCacheBytes: bytes(Math.round((layers * layerBytes) / 4)),
    });
    expect(counts('auto', cache(7))).toEqual([8, 16]);
    expect(counts('auto', cache(30))).toEqual([32]);
  });

  it('are the counts that were asked for', () => {
    expect(counts([2, 6])).toEqual([2, 6]);
  });

  it.each([[[8, 4]], [[4]], [[4, 64]], [[0, 4]]])('cannot be the counts %j', (choice) => {
    expect(() => counts(choice)).toThrow(LayerPlanError);
    expect(() => counts(choice)).toThrow(/rising counts up to its 32 layers/);
  });

  it('are refused with sizes and a way out when they do not fit memory or disk', () => {
    expect(() => counts('auto', { ...UNLIMITED, memoryBytes: bytes(100_000) })).toThrow(
      /of memory can be used .*\(--layers\)/,
    );
    expect(() => counts('auto', { ...UNLIMITED, diskBytes: bytes(100_000) })).toThrow(
      /of disk; .* cache clear/,
    );
  });

  it('are fewer where the usual samples do not fit but smaller ones do', () => {
    const four = planLayers(shape, 'Q4_0', [2, 4], UNLIMITED);
    expect(four.samples.map((layers) => layers.length)).toEqual([2, 4]);
    expect(counts('auto', { ...UNLIMITED, diskBytes: bytes(4_500_000) })).toEqual([2, 4]);
  });
});
