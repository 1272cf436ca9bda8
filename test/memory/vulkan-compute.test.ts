import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readModelRecords } from '../../src/catalog/host/index.ts';
import {
  COMPUTE_BACKENDS,
  DEFAULT_CONTEXT,
  memoryOf,
  ON_DEVICE,
  shapeOf,
  tensorsOf,
  type Placement,
} from '../../src/model/index.ts';

/**
 * Compute buffers that llama.cpp release v0.5.0 laid out on Vulkan for synthetic models in Q4_K_M, on llvmpipe with the
 * limits of GPUs: a part of the combinations that `npm run fidelity -- memory` compares, as a machine that runs the tests
 * need not have a compiler and Vulkan.
 */
function readRows(name: string): string[] {
  const text = readFileSync(new URL(`../fixtures/memory/${name}`, import.meta.url), 'utf8');
  return text.trim().split('\n').slice(1);
}

const ROWS = readRows('vulkan-compute.csv');
/** With layers (`-ngl`) or experts (`-ncmoe`) in the system's memory: two columns more behind the model. */
const PARTIAL_ROWS = readRows('vulkan-partial-compute.csv');
/** With several GPUs, and then as many figures: llvmpipe was counted several times. */
const DEVICES_ROWS = readRows('vulkan-devices-compute.csv');

const shapes = new Map(readModelRecords().map((record) => [record.id, shapeOf(record)]));
const CACHE_TYPES = { f16: 'F16', q8_0: 'Q8_0' } as const;

function computed(line: string, placement: Placement = ON_DEVICE): string {
  const [id = '', contextTokens, flashAttention, sequences, ubatchTokens, type] = line.split(',');
  const shape = shapes.get(id);
  if (shape === undefined) throw new RangeError(`the catalogue has no ${id}`);
  const cacheType = CACHE_TYPES[type === 'f16' ? 'f16' : 'q8_0'];
  const settings = {
    ...DEFAULT_CONTEXT,
    contextTokens: Number(contextTokens),
    sequences: Number(sequences),
    ubatchTokens: Number(ubatchTokens),
    flashAttention: flashAttention === 'on',
    cacheTypeK: cacheType,
    cacheTypeV: cacheType,
  };
  const breakdown = memoryOf(
    { shape, tensors: tensorsOf(shape, 'Q4_K_M') },
    settings,
    placement,
    COMPUTE_BACKENDS.vulkan,
  );
  if ('unsupported' in breakdown) throw new Error(breakdown.unsupported);
  const compute = breakdown.lines.find(({ kind }) => kind === 'compute');
  const devices = compute?.eachDeviceBytes.join(' ');
  return [...line.split(',').slice(0, 6), devices, compute?.hostBytes].join(',');
}

/** A row of another fixture computed again: the columns of the placement come behind the model. */
function computedAt(row: string, columns: number, placementOf: (columns: string[]) => Placement): string {
  const [id = '', ...others] = row.split(',');
  const placed = others.slice(0, columns);
  const [, ...figures] = computed([id, ...others.slice(columns)].join(','), placementOf(placed)).split(',');
  return [id, ...placed, ...figures].join(',');
}

const partial = (gpuLayers = '', cpuMoeLayers = ''): Placement => ({
  gpuLayers: gpuLayers === '' ? null : Number(gpuLayers),
  cpuMoeLayers: Number(cpuMoeLayers),
});

describe('compute buffers on Vulkan', () => {
  it('are of every architecture', () => {
    const models = new Set(ROWS.map((line) => line.split(',')[0]));
    const architectures = new Set([...models].map((id) => shapes.get(id ?? '')?.architecture));
    expect(architectures).toEqual(new Set([...shapes.values()].map(({ architecture }) => architecture)));
  });

  it('are the engine’s to the byte', () => {
    expect(ROWS.map((line) => computed(line))).toEqual(ROWS);
  });

  it('are the engine’s to the byte with a part of the model in system memory', () => {
    const again = PARTIAL_ROWS.map((row) => computedAt(row, 2, (columns) => partial(...columns)));
    expect(again).toEqual(PARTIAL_ROWS);
  });

  it('are the engine’s to the byte on every one of several GPUs', () => {
    const again = DEVICES_ROWS.map((row) =>
      computedAt(row, 3, ([shares = '', ...columns]) => ({
        ...partial(...columns),
        deviceShares: shares.split(' ').map(Number),
      })),
    );
    expect(again).toEqual(DEVICES_ROWS);
  });
});
