import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { readModelRecords } from '../catalog/host/index.ts';
import { layOutGguf } from '../model/gguf/encode-header.ts';
import { planSyntheticFile } from '../model/synthetic/file-plan.ts';
import { tensorBytes } from '../model/ggml-types.ts';
import { shapeOf, tensorsOf, type ModelTensor } from '../model/index.ts';
import { bytes } from '../units/index.ts';
import { comparisonSentences } from './fit-exact.ts';

const MAIN = path.resolve(import.meta.dirname, 'main.ts');
const SMALL = ['fit', 'tinyllama-1.1b:Q4_0', '--exact', '--ctx', '2048'];

const equal = { isEqual: true, figures: [] };
const different = {
  isEqual: false,
  figures: [
    { kind: 'weights', gpu: 0, computedBytes: bytes(7), engineBytes: bytes(7), differenceBytes: 0 },
    { kind: 'compute', gpu: 1, computedBytes: bytes(2048), engineBytes: bytes(1024), differenceBytes: -1024 },
    { kind: 'compute', gpu: null, computedBytes: bytes(0), engineBytes: bytes(3), differenceBytes: 3 },
  ],
} as const;

describe('what is said of the engine and what is computed', () => {
  it('is that they are equal, where they are', () => {
    expect(comparisonSentences({ comparison: equal, engineId: 'embedded:cpu', gpus: 0 }, null)).toEqual([
      'Both are equal to the byte.',
    ]);
  });

  it('is by how much they differ, and where', () => {
    expect(
      comparisonSentences({ comparison: different, engineId: 'embedded:vulkan', gpus: 2 }, null),
    ).toEqual([
      'They differ: llama.cpp takes 1024 bytes (1.00 KiB) less for compute buffers, GPU 1; 3 bytes more for compute buffers, system memory.',
    ]);
  });

  it('is of which machine it is said where another was asked for', () => {
    const [, second] = comparisonSentences({ comparison: equal, engineId: 'embedded:cpu', gpus: 0 }, 'Other');
    expect(second).toBe(
      'This is the answer of embedded:cpu for the processor of this machine, not of Other, which it cannot see.',
    );
  });
});

const folder = mkdtempSync(path.join(tmpdir(), 'ridgepoint-exact-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Magic, version and the two counts of a GGUF file: bytes. */
const COUNTS_END = 24;
const ALIGNMENT = 32;

/** Writes TinyLlama as one with a dynamic quantisation has it: called Q4_0, with some tensors in other types. */
function writeDynamic(file: string): number {
  const record = readModelRecords().find(({ id }) => id === 'tinyllama-1.1b');
  if (record === undefined) throw new Error('no model');
  const shape = shapeOf(record);
  const tensors = tensorsOf(shape, 'Q4_0').map((tensor): ModelTensor => {
    const type = tensor.name.includes('attn_v') ? 'Q8_0' : tensor.name.includes('ffn_down') ? 'Q5_K' : null;
    return type === null ? tensor : { ...tensor, type, bytes: tensorBytes(type, tensor.dims) };
  });
  const { header } = planSyntheticFile({ shape, mix: 'Q4_0' });
  const described = layOutGguf([], tensors);
  // The list of tensors begins with the length of the first name.
  const list = Buffer.from(header).indexOf(tensors[0]?.name ?? '') - 8;
  const start = Buffer.concat([header.subarray(0, list), described.header.subarray(COUNTS_END)]);
  const padded = Math.ceil(start.byteLength / ALIGNMENT) * ALIGNMENT;
  writeFileSync(file, start);
  truncateSync(file, padded + described.fileBytes - described.header.byteLength);
  return tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
}

const printed = z.object({
  breakdown: z.object({ lines: z.array(z.object({ kind: z.string(), hostBytes: z.number() })) }),
  engine: z.object({ comparison: z.object({ isEqual: z.boolean() }) }),
});

// The engine's account of its memory can be read on Linux alone.
describe.runIf(process.platform === 'linux')('fit --exact', () => {
  it('is equal to the byte on the processor, and says whose answer it is', { timeout: 60_000 }, () => {
    const { stdout, status } = spawnSync(
      process.execPath,
      [MAIN, ...SMALL, '--machine', 'framework-desktop-395-128'],
      { encoding: 'utf8', env: { ...process.env, GGML_VK_VISIBLE_DEVICES: '-1' } },
    );
    expect({ status, stdout }).toMatchObject({ status: 0 });
    expect(stdout).toMatch(/^compute buffers +system memory +\S+ \S+ +\S+ \S+ +0$/m);
    expect(stdout).toContain('\nBoth are equal to the byte.\n');
    expect(stdout).toContain('not of Framework Desktop 128 GB');
  });

  it(
    'takes the tensors of a file in the types that they have there, as llama.cpp does',
    { timeout: 60_000 },
    () => {
      const file = path.join(folder, 'dynamic.gguf');
      const weights = writeDynamic(file);
      const { stdout, stderr } = spawnSync(
        process.execPath,
        [MAIN, 'fit', file, '--exact', '--ctx', '2048', '--json', '--machine', 'raspberry-pi-5-8'],
        { encoding: 'utf8', env: { ...process.env, GGML_VK_VISIBLE_DEVICES: '-1' } },
      );
      expect(stderr).toBe('');
      const { breakdown, engine } = printed.parse(JSON.parse(stdout));
      expect(engine.comparison).toEqual({ isEqual: true });
      // Beside what is loaded nothing but the padding of tensors.
      const computed = breakdown.lines.find(({ kind }) => kind === 'weights')?.hostBytes ?? 0;
      expect(computed / weights).toBeCloseTo(1, 4);
    },
  );
});
