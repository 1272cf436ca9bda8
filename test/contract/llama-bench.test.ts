import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EngineFailure, type ModelSettings } from '../../src/engine/index.ts';
import { findLlamaBench, openLlamaBenchEngine } from '../../src/engine/host/index.ts';
import { buildLlamaBench } from '../setup/llama-bench.ts';
import { describeEngineContract } from './engine.contract.ts';

const FAKES = fileURLToPath(new URL('../fixtures/engines/', import.meta.url));
const fake = (name: string): string => path.join(FAKES, `${name}-llama-bench`);

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('with the official build', () => {
  describeEngineContract('llama-bench', async () => openLlamaBenchEngine(await buildLlamaBench()));
});

describe.skipIf(process.platform === 'win32')('a llama-bench that misbehaves', () => {
  let folder = '';
  let settings: ModelSettings;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ridgepoint-fakes-'));
    settings = {
      modelPath: path.join(folder, 'model.gguf'),
      contextTokens: 64,
      batchTokens: 64,
      ubatchTokens: 64,
      threads: 1,
      gpuLayers: 0,
      cpuMoeLayers: 0,
      cacheTypeK: 'f16',
      cacheTypeV: 'f16',
      flashAttention: 'auto',
    };
    await writeFile(settings.modelPath, 'GGUF');
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it.each([
    ['hangs', 'timed-out', /did not answer in time/],
    ['dies', 'crashed', /SIGSEGV/],
    ['garbage', 'crashed', /line of JSON/],
  ])('%s: the point is %s, in one sentence', async (name, kind, words) => {
    const limits = { loadMilliseconds: 500, repetitionMilliseconds: 100 };
    const model = await openLlamaBenchEngine(fake(name)).load(settings, limits);
    const test = { promptTokens: 8, generatedTokens: 0, depthTokens: 0 };
    const failure = await model.run({ test, repetitions: 1 }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(EngineFailure);
    expect(failure).toMatchObject({ kind, message: expect.stringMatching(words) });
    expect(failure).toMatchObject({ message: expect.stringContaining(settings.modelPath) });
    await model.end();
  });

  it.each([
    ['nothing', () => path.join(folder, 'none'), /There is no file/],
    ['a folder', () => folder, /is a folder/],
    ['a file that may not be executed', () => settings.modelPath, /may not be executed/],
    ['another program', () => path.join(FAKES, 'not-llama-bench'), /unknown option: --help/],
  ])('%s in its place is refused by name', async (_, executable, words) => {
    const failure = await openLlamaBenchEngine(executable())
      .describe()
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(EngineFailure);
    expect(failure).toMatchObject({ kind: 'load-failed', message: expect.stringMatching(words) });
    expect(failure).toMatchObject({ message: expect.stringContaining(executable()) });
  });

  it('is found on a search path once, however many links lead to it', async () => {
    await symlink(fake('hangs'), path.join(folder, 'llama-bench'));
    const second = await mkdtemp(path.join(folder, 'second-'));
    await symlink(path.join(folder, 'llama-bench'), path.join(second, 'llama-bench'));
    const searchPath = ['', path.join(folder, 'missing'), folder, second].join(path.delimiter);
    expect(await findLlamaBench(searchPath)).toEqual([path.join(folder, 'llama-bench')]);
  });
});
