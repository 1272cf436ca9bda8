import { describe, expect, it } from 'vitest';
import { readModelRecords } from '../catalog/host/index.ts';
import type { BufferMemory, ContextMemory } from '../engine/index.ts';
import {
  COMPUTE_BACKENDS,
  DEFAULT_CONTEXT,
  memoryOf,
  shapeOf,
  tensorsOf,
  type MemoryBreakdown,
  type Placement,
} from '../model/index.ts';
import { bytes } from '../units/index.ts';
import { compareWithEngine } from './engine-comparison.ts';

function computed(backend: 'cpu' | 'vulkan', placement: Partial<Placement> = {}): MemoryBreakdown {
  const record = readModelRecords().find(({ id }) => id === 'qwen3-0.6b');
  if (record === undefined) throw new Error('no model');
  const shape = shapeOf(record);
  const memory = memoryOf(
    { shape, tensors: tensorsOf(shape, 'Q4_K_M') },
    { ...DEFAULT_CONTEXT, contextTokens: 4096 },
    { gpuLayers: null, cpuMoeLayers: 0, ...placement },
    COMPUTE_BACKENDS[backend],
  );
  if ('unsupported' in memory) throw new Error(memory.unsupported);
  return memory;
}

function account(
  buffers: readonly (readonly [name: string, isHost: boolean, ...sizes: number[]])[],
): ContextMemory {
  return {
    buffers: buffers.map(([name, isHost, model = 0, context = 0, compute = 0]): BufferMemory => ({
      name,
      isHost,
      modelBytes: bytes(model),
      contextBytes: bytes(context),
      computeBytes: bytes(compute),
    })),
    kvCaches: [],
    recurrentBytes: bytes(0),
    outputBytes: bytes(0),
  };
}

/** What llama.cpp v0.5.0 says of Qwen3 0.6B in Q4_K_M with 4096 tokens on a processor with AVX2, in bytes. */
const REPACKED = 214_695_936;
const PLAIN = 176_057_344;
const CACHE = 469_762_048;
const COMPUTE = 327_956_480;

describe('the engine held against what is computed', () => {
  it('counts weights that are rearranged for the processor to the memory of the system', () => {
    const engine = account([
      ['CPU_REPACK', false, REPACKED],
      ['CPU', true, PLAIN, CACHE, COMPUTE],
    ]);
    expect(compareWithEngine(engine, computed('cpu'))).toMatchObject({
      isEqual: true,
      figures: [
        { kind: 'weights', gpu: null, engineBytes: REPACKED + PLAIN },
        { kind: 'cache-and-state', gpu: null, engineBytes: CACHE },
        { kind: 'compute', gpu: null, engineBytes: COMPUTE },
      ],
    });
  });

  it('finds one byte on one of two GPUs', () => {
    const ours = computed('vulkan', { deviceShares: [1, 1] });
    const of = (kinds: readonly string[], gpu: number | null): number =>
      ours.lines
        .filter(({ kind }) => kinds.includes(kind))
        .reduce((sum, line) => sum + (gpu === null ? line.hostBytes : (line.eachDeviceBytes[gpu] ?? 0)), 0);
    const sizes = (gpu: number | null): [number, number, number] => [
      of(['weights'], gpu),
      of(['kv-cache', 'recurrent-state'], gpu),
      of(['compute'], gpu),
    ];
    const [weights, cache, compute] = sizes(1);
    const withCache = (size: number): ContextMemory =>
      account([
        ['Vulkan1', false, weights, size, compute],
        ['Vulkan0', false, ...sizes(0)],
        ['Vulkan_Host', true, ...sizes(null)],
      ]);
    expect(compareWithEngine(withCache(cache), ours).isEqual).toBe(true);
    const other = compareWithEngine(withCache(cache + 1), ours);
    expect(other.isEqual).toBe(false);
    expect(other.figures.filter(({ differenceBytes }) => differenceBytes !== 0)).toEqual([
      { kind: 'cache-and-state', gpu: 1, computedBytes: cache, engineBytes: cache + 1, differenceBytes: 1 },
    ]);
  });

  it('counts what the engine has on a GPU of which nothing was computed', () => {
    const engine = account([['CUDA0', false, 5]]);
    const { isEqual, figures } = compareWithEngine(engine, computed('cpu'));
    expect(isEqual).toBe(false);
    expect(figures).toContainEqual({
      kind: 'weights',
      gpu: 0,
      computedBytes: 0,
      engineBytes: 5,
      differenceBytes: 5,
    });
  });
});
