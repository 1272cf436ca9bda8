import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
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
});
