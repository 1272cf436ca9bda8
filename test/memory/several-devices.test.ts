import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readModelRecords } from '../../src/catalog/host/index.ts';
import { embeddedVariants, openEmbeddedEngine } from '../../src/engine/host/index.ts';
import type { ContextMemory } from '../../src/engine/index.ts';
import { writeSparse } from '../../src/model/host/index.ts';
import {
  COMPUTE_BACKENDS,
  DEFAULT_CONTEXT,
  memoryOf,
  shapeOf,
  tensorsOf,
  type MemoryBreakdown,
  type MemoryKind,
  type Placement,
} from '../../src/model/index.ts';

const installed = embeddedVariants().some(
  ({ variant, directory }) => variant === 'vulkan' && directory !== null,
);

/** Mesa's llvmpipe counted three times; it takes no tensor above its `maxStorageBufferRange`. */
const DEVICES = '0,0,0';
const LLVMPIPE = { ...COMPUTE_BACKENDS.vulkan, maxTensorBytes: 128 * 2 ** 20 };

const DIVIDED: Placement = { gpuLayers: null, cpuMoeLayers: 0, deviceShares: [3, 1, 2] };
const PARTIAL: Placement = { gpuLayers: 9, cpuMoeLayers: 0, deviceShares: [1, 0, 2.5] };
const WITHOUT_EXPERTS: Placement = { gpuLayers: null, cpuMoeLayers: 3, deviceShares: [1, 1, 1] };

const CASES: readonly { readonly id: string; readonly what: string; readonly placement: Placement }[] = [
  { id: 'llama-3.2-1b', what: 'factors of rotation in every buffer', placement: DIVIDED },
  { id: 'llama-3.2-1b', what: 'layers in the system memory', placement: PARTIAL },
  { id: 'gemma-3n-e2b', what: 'a table by layer, and weights of the first layer', placement: DIVIDED },
  { id: 'mamba-130m', what: 'weights that Vulkan does not compute with, and states', placement: DIVIDED },
  { id: 'rwkv7-0.4b', what: 'a norm of the first layer', placement: PARTIAL },
  { id: 'deepseek-v2-lite', what: 'experts in the system memory', placement: WITHOUT_EXPERTS },
];

/** Bytes of one GPU, or beside the GPUs. */
interface PlaceBytes {
  readonly weights: number;
  readonly caches: number;
  readonly compute: number;
}

function ofEngine({ buffers }: ContextMemory): PlaceBytes[] {
  const at = (isHere: (name: string) => boolean): PlaceBytes => {
    const here = buffers.filter(({ name }) => isHere(name));
    return {
      weights: here.reduce((sum, { modelBytes }) => sum + modelBytes, 0),
      caches: here.reduce((sum, { contextBytes }) => sum + contextBytes, 0),
      compute: here.reduce((sum, { computeBytes }) => sum + computeBytes, 0),
    };
  };
  return [
    ...[0, 1, 2].map((device) => at((name) => name === `Vulkan${device}`)),
    at((name) => !/^Vulkan\d/.test(name)),
  ];
}

function ofModel({ lines }: MemoryBreakdown): PlaceBytes[] {
  const at = (device: number | null): PlaceBytes => {
    const size = (kind: MemoryKind): number => {
      const line = lines.find((each) => each.kind === kind);
      return (device === null ? line?.hostBytes : line?.eachDeviceBytes[device]) ?? 0;
    };
    return {
      weights: size('weights'),
      caches: size('kv-cache') + size('recurrent-state'),
      compute: size('compute'),
    };
  };
  return [at(0), at(1), at(2), at(null)];
}

describe.skipIf(process.platform !== 'linux' || !installed)(
  'weights, caches and compute buffers on three GPUs',
  () => {
    const before = process.env['GGML_VK_VISIBLE_DEVICES'];
    beforeAll(() => {
      process.env['GGML_VK_VISIBLE_DEVICES'] = DEVICES;
    });
    afterAll(() => {
      if (before === undefined) delete process.env['GGML_VK_VISIBLE_DEVICES'];
      else process.env['GGML_VK_VISIBLE_DEVICES'] = before;
    });

    it.concurrent.each(CASES)('lie where the engine puts them: $id, $what', async ({ id, placement }) => {
      const record = readModelRecords().find((each) => each.id === id);
      if (record === undefined) throw new Error(`no ${id}`);
      const shape = shapeOf(record);
      const file = path.join(tmpdir(), `ridgepoint-devices-${randomUUID()}.gguf`);
      const context = { ...DEFAULT_CONTEXT, contextTokens: 4096 };
      try {
        await writeSparse({ shape, mix: 'Q4_K_M' }, file);
        const [engine] = await openEmbeddedEngine({ variant: 'vulkan' }).planMemory({
          modelPath: file,
          gpuLayers: placement.gpuLayers ?? -1,
          cpuMoeLayers: placement.cpuMoeLayers,
          tensorSplit: placement.deviceShares,
          contexts: [{ ...context, cacheTypeK: 'f16', cacheTypeV: 'f16', flashAttention: 'on' }],
        });
        const ours = memoryOf({ shape, tensors: tensorsOf(shape, 'Q4_K_M') }, context, placement, LLVMPIPE);
        if (engine === undefined || 'refusal' in engine || 'unsupported' in ours) throw new Error('refused');
        expect(ofModel(ours)).toEqual(ofEngine(engine));
      } finally {
        await rm(file, { force: true });
      }
    });
  },
);
