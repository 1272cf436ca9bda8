import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tinyShape } from '../../test/fixtures/tiny-shapes.ts';
import { readModelRecords } from '../catalog/host/index.ts';
import {
  fewestRunnableLayers,
  isSlidingWindowLayer,
  layerKinds,
  sampleComposition,
  sampleLayers,
  shapeOf,
  type ModelShape,
} from './index.ts';

const SHAPES = readModelRecords().map(shapeOf);

const positions = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);

function shapeNamed(id: string): ModelShape {
  const shape = SHAPES.find((each) => each.id === id);
  if (shape === undefined) throw new Error(`no shape ${id}`);
  return shape;
}

/** Layers that are in every sample, or in the place of another kind, because the engine asks for them. */
function pinnedLayers(shape: ModelShape): number {
  if (shape.sharedKvLayers > 0) return 2;
  const startsInItsOwnWay = shape.recurrent?.kind === 'rwkv7' || shape.architecture === 'glm-dsa';
  return startsInItsOwnWay ? 1 : fewestRunnableLayers(shape) - 1;
}

describe('layer kinds', () => {
  it('tell tensor types, windows and experts apart', () => {
    const dense = layerKinds(shapeNamed('llama-3.1-8b'), 'Q4_K_M');
    expect(new Set(dense.map((kind) => kind.key)).size).toBe(2);
    expect(dense[0]).toMatchObject({ attention: 'full', feedForward: 'dense' });
    expect(dense[0]?.types['ffn_down.weight']).toBe('Q6_K');
    expect(new Set(layerKinds(shapeNamed('llama-3.1-8b'), 'Q4_0').map((kind) => kind.key)).size).toBe(1);
    const oss = layerKinds(shapeNamed('gpt-oss-20b'), 'MXFP4');
    expect(oss.slice(0, 2)).toMatchObject([
      { attention: 'sliding-window', feedForward: 'experts' },
      { attention: 'full', feedForward: 'experts' },
    ]);
  });
});

describe('sampling layers', () => {
  it('is exactly proportional where the count allows it', () => {
    const shape = shapeNamed('llama-3.1-8b');
    for (const count of [2, 4, 8, 32]) {
      const layers = sampleLayers(shape, 'Q4_K_M', count);
      expect(sampleComposition(shape, 'Q4_K_M', layers).largestDeviation).toBe(0);
    }
  });

  it('says how far from proportional an odd sample is', () => {
    const shape = shapeNamed('gpt-oss-20b');
    const composition = sampleComposition(shape, 'MXFP4', sampleLayers(shape, 'MXFP4', 3));
    expect(composition.kinds.map((each) => each.sampleCount)).toEqual([2, 1]);
    expect(composition.largestDeviation).toBeCloseTo(2 / 3 - 1 / 2);
  });

  it('puts every layer where the engine gives it its own kind of attention', () => {
    fc.assert(
      fc.property(fc.constantFrom(...SHAPES), fc.nat(), (shape, seed) => {
        const fewest = fewestRunnableLayers(shape);
        const count = fewest + (seed % (shape.layers - fewest + 1));
        const layers = sampleLayers(shape, 'Q4_K_M', count);
        expect(layers).toHaveLength(count);
        expect(new Set(layers).size).toBe(count);
        // Where the header lists the windows, the layers need only stay in order.
        const listed = shape.slidingWindow?.period === null;
        const windowOf = (layer: number): boolean => isSlidingWindowLayer(shape, layer);
        const wanted = listed
          ? layers.toSorted((a, b) => a - b).map(windowOf)
          : positions(count).map(windowOf);
        expect(layers.map(windowOf)).toEqual(wanted);
        const pinned = pinnedLayers(shape);
        // Its engine gives the first twenty layers of any file a cache of their own.
        if (shape.architecture === 'gemma3n') return;
        expect(sampleComposition(shape, 'Q4_K_M', layers).largestDeviation).toBeLessThanOrEqual(
          (1 + pinned) / count,
        );
      }),
      { numRuns: 60 },
    );
  });

  it('keeps the layers whose caches others read before those that read them', () => {
    const shape = shapeNamed('gemma-4-e2b');
    const end = shape.layers - shape.sharedKvLayers;
    for (let count = 2; count <= shape.layers; count += 1) {
      const layers = sampleLayers(shape, 'Q4_0', count);
      expect(new Set(layers).size).toBe(count);
      const before = layers.filter((layer) => layer < end);
      if (before.length === count) continue;
      expect(before.slice(-2)).toEqual([end - 2, end - 1]);
      expect([end - 2, end - 1].map((layer) => isSlidingWindowLayer(shape, layer))).toEqual([true, false]);
    }
  });

  it.each([
    ['qwen3-next-80b-a3b', 8, { recurrent: 6, full: 2 }, { experts: 8 }],
    ['qwen3.6-27b', 8, { recurrent: 6, full: 2 }, { dense: 8 }],
    ['granite-4.0-h-tiny', 10, { recurrent: 9, full: 1 }, { experts: 10 }],
    ['nemotron-3-nano-30b-a3b', 26, { recurrent: 12, none: 11, full: 3 }, { none: 15, experts: 11 }],
    ['lfm2-8b-a1b', 12, { recurrent: 9, full: 3 }, { dense: 1, experts: 11 }],
    ['kimi-linear-48b-a3b', 13, { recurrent: 10, full: 3 }, { dense: 1, experts: 12 }],
    ['jamba-v0.1', 8, { recurrent: 7, full: 1 }, { dense: 4, experts: 4 }],
    ['deepseek-v3', 20, { full: 20 }, { dense: 1, experts: 19 }],
  ] as const)('of %s keeps the shares of its kinds of layers', (id, count, attention, feedForward) => {
    const shape = shapeNamed(id);
    const kinds = layerKinds(shape, 'Q8_0');
    const chosen = sampleLayers(shape, 'Q8_0', count).map((layer) => kinds[layer]);
    const tally = (names: readonly (string | undefined)[]): Record<string, number> => {
      const counts: Record<string, number> = {};
      for (const name of names) counts[name ?? ''] = (counts[name ?? ''] ?? 0) + 1;
      return counts;
    };
    expect(tally(chosen.map((kind) => kind?.attention))).toEqual(attention);
    expect(tally(chosen.map((kind) => kind?.feedForward))).toEqual(feedForward);
  });

  it('has recurrent and attending layers wherever the model has both, which the engine runs only together', () => {
    const hybrids = SHAPES.filter((shape) => {
      const kinds = new Set(layerKinds(shape, 'F16').map(({ attention }) => attention));
      return kinds.has('recurrent') && kinds.has('full');
    });
    expect(hybrids.length).toBeGreaterThan(20);
    for (const shape of hybrids) {
      expect(fewestRunnableLayers(shape)).toBe(2);
      const kinds = layerKinds(shape, 'F16');
      for (const count of [2, 3, 4, 5, 8, 12]) {
        const layers = sampleLayers(shape, 'F16', count);
        expect(layers).toHaveLength(count);
        const chosen = layers.map((layer) => kinds[layer]?.attention);
        expect(chosen).toEqual(expect.arrayContaining(['recurrent', 'full']));
      }
    }
    expect(() => sampleLayers(shapeNamed('jamba-v0.1'), 'F16', 1)).toThrow(/no fewer than 2 layers of jamba/);
  });

  it('has every ratio of DeepSeek V4, and its hash-routed layers first', () => {
    const shape = shapeNamed('deepseek-v4-flash');
    expect(fewestRunnableLayers(shape)).toBe(2);
    for (let count = 2; count <= shape.layers; count += 1) {
      const layers = sampleLayers(shape, 'F16', count);
      const ratios = layers.map((layer) => shape.compressedAttention?.ratios[layer]);
      expect(ratios).toEqual(expect.arrayContaining([4, 128]));
      expect(layers).toEqual(layers.toSorted((a, b) => a - b));
    }
  });

  it('starts with a layer that has an indexer where later ones reuse its choice', () => {
    const shape = shapeNamed('glm-5.2');
    for (let count = 1; count <= shape.layers; count += 1) {
      const layers = sampleLayers(shape, 'Q4_0', count);
      expect(new Set(layers).size).toBe(count);
      expect(shape.indexer?.onLayers[layers[0] ?? 0]).toBe(true);
    }
  });

  it('starts with the first layer of RWKV, whose ranks are its own', () => {
    expect(sampleLayers(shapeNamed('rwkv7-1.5b'), 'F16', 6)[0]).toBe(0);
  });

  it('has a full and a windowed layer where the engine runs no file without', () => {
    const attentions = (id: string, count: number): readonly boolean[] => {
      const shape = shapeNamed(id);
      return sampleLayers(shape, 'Q4_0', count).map((layer) => isSlidingWindowLayer(shape, layer));
    };
    expect(new Set(attentions('gemma-4-31b', 2)).size).toBe(2);
    expect(attentions('gemma-4-31b', 4).filter((isWindowed) => !isWindowed)).toHaveLength(1);
    expect(attentions('llama-4-scout-17b-16e', 4)).toEqual([true, true, true, false]);
    expect(() => attentions('llama-4-scout-17b-16e', 3)).toThrow(/no fewer than 4 layers/);
    expect(() => attentions('gemma-4-31b', 1)).toThrow(/no fewer than 2 layers/);
    expect(attentions('gemma-3-27b', 1)).toEqual([true]);
  });

  it('of all layers is the model itself', () => {
    const shape = shapeNamed('qwen3-30b-a3b');
    expect(sampleLayers(shape, 'Q4_K_M', 48)).toEqual(Array.from({ length: 48 }, (_, layer) => layer));
  });

  it('refuses counts that the model cannot give', () => {
    expect(() => sampleLayers(tinyShape('llama'), 'Q4_0', 3)).toThrow(/has 2 layers; 3 of them/);
    expect(() => sampleLayers(tinyShape('llama'), 'Q4_0', 0)).toThrow(RangeError);
  });
});
