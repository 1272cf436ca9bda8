import { describe, expect, it } from 'vitest';
import { readModelRecords } from '../../src/catalog/host/index.ts';
import {
  COMPUTE_BACKENDS,
  DEFAULT_CONTEXT,
  memoryOf,
  shapeOf,
  tensorsWithNextTokenLayers,
  type MemoryBreakdown,
  type Placement,
} from '../../src/model/index.ts';
import { MIB } from '../../src/units/index.ts';

/**
 * Compute buffers in MiB that llama.cpp release v0.5.0 laid out on Vulkan for the context that drafts, of the last GPU and
 * of the system's memory: synthetic files in Q4_K_M, 8192 tokens, llvmpipe with the limits of GPUs, counted as many times
 * as there are shares. The other GPUs have none.
 */
const FIGURES = [
  { id: 'qwen3.5-0.8b', shares: [1], cpuMoeLayers: 0, device: 30.02, host: 12.02 },
  { id: 'qwen3.5-0.8b', shares: [3, 1, 2], cpuMoeLayers: 0, device: 73.06, host: 42.07 },
  { id: 'glm-4.7-flash', shares: [3, 1, 2], cpuMoeLayers: 0, device: 126.02, host: 52.03 },
  { id: 'glm-4.7-flash', shares: [1, 1, 1], cpuMoeLayers: 3, device: 70.01, host: 16.01 },
  { id: 'nemotron-3-super-120b-a12b', shares: [1, 1], cpuMoeLayers: 0, device: 128.03, host: 72.04 },
] as const;
/** By how much the system's memory may be counted above the engine's: MiB. */
const HOST_MARGIN = 0.1;

/** The same of the model's own context, which keeps three earlier states to go back to: bytes of every GPU, then beside them. */
const OWN_FIGURES = [
  {
    id: 'qwen3.5-0.8b',
    placement: { gpuLayers: 12, cpuMoeLayers: 0, deviceShares: [1] },
    compute: [514_828_304, 61_124_672],
  },
  {
    id: 'qwen3.5-0.8b',
    placement: { gpuLayers: null, cpuMoeLayers: 0, deviceShares: [3, 1, 2] },
    compute: [92_487_744, 100_876_352, 563_159_104, 37_830_720],
  },
  {
    id: 'nemotron-3-super-120b-a12b',
    placement: { gpuLayers: 12, cpuMoeLayers: 0, deviceShares: [1] },
    compute: [3_960_995_840, 113_438_784],
  },
  {
    id: 'nemotron-3-super-120b-a12b',
    placement: { gpuLayers: null, cpuMoeLayers: 3, deviceShares: [1, 1, 1] },
    compute: [2_482_888_720, 330_571_792, 290_979_856, 25_178_176],
  },
] as const;

function draftingMemory(id: string, placement: Placement): MemoryBreakdown {
  const record = readModelRecords().find((each) => each.id === id);
  if (record === undefined) throw new Error(`no ${id}`);
  const shape = shapeOf(record);
  const breakdown = memoryOf(
    { shape, tensors: tensorsWithNextTokenLayers(shape, 'Q4_K_M') },
    { ...DEFAULT_CONTEXT, contextTokens: 8192, draftsFurtherTokens: true },
    placement,
    COMPUTE_BACKENDS.vulkan,
  );
  if ('unsupported' in breakdown) throw new Error(breakdown.unsupported);
  return breakdown;
}

describe('the compute buffers of a context for which another drafts', () => {
  it.each(OWN_FIGURES)('are the engine’s to the byte: $id, $placement', ({ id, placement, compute }) => {
    const line = draftingMemory(id, placement).lines.find(({ kind }) => kind === 'compute');
    expect([...(line?.eachDeviceBytes ?? []), line?.hostBytes]).toEqual(compute);
  });
});

describe('the compute buffers of the context that drafts', () => {
  it.each(FIGURES)('of $id on GPUs in shares of $shares are no lower than the engine’s', (figure) => {
    const breakdown = draftingMemory(figure.id, {
      gpuLayers: null,
      cpuMoeLayers: figure.cpuMoeLayers,
      deviceShares: figure.shares,
    });
    const line = breakdown.lines.find(({ kind }) => kind === 'draft-compute');
    const devices = (line?.eachDeviceBytes ?? []).map((each) => each / MIB);
    const host = (line?.hostBytes ?? 0) / MIB;
    expect(devices.slice(0, -1)).toEqual(figure.shares.slice(1).map(() => 0));
    expect(devices.at(-1)).toBeGreaterThan(figure.device);
    expect(Math.round(100 * host) / 100).toBeGreaterThanOrEqual(figure.host);
    expect(host).toBeLessThan(figure.host + HOST_MARGIN);
  });
});
