import { describe, expect, it } from 'vitest';
import { deviceOfLayer, isOnGpu, type Placement } from './placement.ts';

/** How many of the layers and of the output, which comes last, each GPU has; then the system's memory. */
function counts(layers: number, placement: Placement): number[] {
  const devices = placement.deviceShares?.length ?? 1;
  const places = Array.from({ length: layers + 1 }, (_, layer) => deviceOfLayer(layer, layers, placement));
  return [...Array.from({ length: devices }, (_, device) => device), null].map(
    (device) => places.filter((each) => each === device).length,
  );
}

describe('the GPU of a layer', () => {
  it('is the one whose share covers it, the output being one layer more', () => {
    const all = { gpuLayers: null, cpuMoeLayers: 0 };
    // As the engine divides the 16 layers of Llama 3.2 1B.
    expect(counts(16, { ...all, deviceShares: [1, 1] })).toEqual([9, 8, 0]);
    expect(counts(16, { ...all, deviceShares: [3, 1] })).toEqual([13, 4, 0]);
    expect(counts(16, { ...all, deviceShares: [1, 1, 1, 1] })).toEqual([5, 4, 4, 4, 0]);
  });

  it('is none for the first layers where not all are offloaded', () => {
    expect(counts(16, { gpuLayers: 10, cpuMoeLayers: 0, deviceShares: [1, 1] })).toEqual([5, 5, 7]);
    expect(isOnGpu(6, 16, { gpuLayers: 10, cpuMoeLayers: 0 })).toBe(false);
    expect(isOnGpu(7, 16, { gpuLayers: 10, cpuMoeLayers: 0 })).toBe(true);
    expect(counts(16, { gpuLayers: 0, cpuMoeLayers: 0 })).toEqual([0, 17]);
    expect(counts(16, { gpuLayers: 999, cpuMoeLayers: 0 })).toEqual([17, 0]);
  });

  it('is never one without a share', () => {
    expect(counts(32, { gpuLayers: null, cpuMoeLayers: 0, deviceShares: [1, 0, 2.5] })[1]).toBe(0);
  });
});
