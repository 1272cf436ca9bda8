import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeSynthetic } from '../../src/model/host/index.ts';
import { tinyShape } from '../fixtures/tiny-shapes.ts';
import { unknownArchitecture } from '../fixtures/unknown-architecture.ts';
import { homeIn, recordsOf, run, start, until, workerOf, type Home } from './command.ts';

const ENGINES = path.resolve(import.meta.dirname, '../fixtures/engines');
const SHORT = ['-p', '8', '-n', '0', '-r', '1'];
const CPU = [...SHORT, '--backend', 'cpu'];

let root = '';
let good = '';
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'ridgepoint-outcomes-'));
  good = path.join(root, 'tiny.gguf');
  await writeSynthetic({ shape: tinyShape('llama'), mix: 'Q4_0', path: good });
});
afterAll(() => rm(root, { recursive: true, force: true }));

let homes = 0;
function newHome(): Home {
  homes += 1;
  return homeIn(path.join(root, `home-${homes}`));
}

const outcomesOf = (home: Home): string[] => recordsOf(home).map(({ outcome }) => outcome);

/** The lines of standard error that name an outcome: one sentence for each point that failed. */
const sentences = (stderr: string): string[] =>
  stderr.split('\n').filter((line) => / pp\d+: [\w-]+: /.test(line));

describe('a model that cannot be run is an outcome, and the sweep goes on', () => {
  it.each([
    {
      what: 'a truncated file',
      outcome: 'load-failed',
      says: /is cut short/,
      make: async (): Promise<string[]> => {
        const file = path.join(root, 'truncated.gguf');
        await writeSynthetic({ shape: tinyShape('llama'), mix: 'Q4_0', path: file });
        await truncate(file, 300_000);
        return [file];
      },
    },
    {
      what: 'a directory',
      outcome: 'load-failed',
      says: /is a folder/,
      make: async (): Promise<string[]> => {
        await mkdir(path.join(root, 'directory.gguf'));
        return [path.join(root, 'directory.gguf')];
      },
    },
    {
      what: 'an architecture that the engine does not know',
      outcome: 'unsupported',
      says: /"nonesuch", which this llama\.cpp does not know/,
      make: async (): Promise<string[]> => [await unknownArchitecture(path.join(root, 'nonesuch.gguf'))],
    },
    {
      what: 'a missing file',
      outcome: 'load-failed',
      says: /There is no file/,
      make: async (): Promise<string[]> => [path.join(root, 'missing.gguf')],
    },
    {
      what: 'a model larger than memory',
      outcome: 'out-of-memory',
      says: /needs .* GiB/,
      make: async (): Promise<string[]> => ['qwen3-235b-a22b:F16', '--layers', 'all'],
    },
  ])('$what', async ({ outcome, says, make }) => {
    const home = newHome();
    const { exitCode, stderr } = await run(['bench', ...(await make()), good, ...CPU], home);
    expect(outcomesOf(home)).toEqual([outcome, 'measured']);
    expect(sentences(stderr)).toHaveLength(1);
    expect(stderr).toMatch(says);
    expect(exitCode).toBe(1);
  });

  it('a quantised V cache without flash attention', async () => {
    const home = newHome();
    const { exitCode, stderr } = await run(['bench', good, ...CPU, '-ctv', 'q8_0', '-fa', 'off,on'], home);
    expect(outcomesOf(home)).toEqual(['unsupported', 'measured']);
    expect(stderr).toContain('quantized V cache requires flash_attn');
    expect(exitCode).toBe(1);
  });

  it.each([
    ['dies', 'crashed'],
    ['hangs', 'timed-out'],
    ['garbage', 'crashed'],
  ])('an engine that %s', async (name, outcome) => {
    const home = newHome();
    const engine = `llama-bench:${path.join(ENGINES, `${name}-llama-bench`)}`;
    const { exitCode, stderr } = await run(
      ['bench', good, '-p', '8,16', '-n', '0', '-r', '1', '--engine', engine, '--timeout', '0.5'],
      home,
    );
    expect(outcomesOf(home)).toEqual([outcome, outcome]);
    expect(sentences(stderr)).toHaveLength(2);
    expect(exitCode).toBe(1);
  });
});

describe.skipIf(process.platform !== 'linux')('a worker that is stopped', () => {
  it('is given up after the time limit', async () => {
    const home = newHome();
    const command = start(
      ['bench', good, '-p', '0', '-n', '60000', '-r', '1', '--backend', 'cpu', '--timeout', '2'],
      home,
    );
    // The first worker only describes the engine.
    await until(() => workerOf(home) !== null, 5000);
    const first = workerOf(home);
    let worker: number | null = null;
    // Seen twice: one that has just ended may still be listed.
    await until(() => {
      const seen = workerOf(home);
      const stays = seen !== null && seen !== first && seen === worker;
      worker = seen;
      return stays;
    }, 5000);
    if (worker === null) throw new Error('there is no worker');
    process.kill(worker, 'SIGSTOP');
    const { exitCode, stderr } = await command.ended;
    expect(outcomesOf(home)).toEqual(['timed-out']);
    expect(stderr).toContain('did not answer in time');
    expect(exitCode).toBe(1);
  });
});

describe('an interrupted sweep', () => {
  it('keeps and prints what was measured, says how to go on, and goes on', async () => {
    const home = newHome();
    const argv = ['bench', good, '-p', '8,16', '-n', '4,1024', '-r', '2', '--backend', 'cpu'];
    const command = start(argv, home);
    expect(await until(() => recordsOf(home).length >= 2, 10_000)).toBe(true);
    command.process.kill('SIGINT');
    const { exitCode, stdout, stderr } = await command.ended;
    expect(exitCode).toBe(130);
    expect(stdout).toContain('pp16');
    expect(stderr).toMatch(/of 4 points are kept\. The same command goes on from here/);
    const again = await run(argv, home);
    expect(again.exitCode).toBe(0);
    expect(recordsOf(home).map(({ sweep }) => sweep.index)).toEqual([0, 1, 2, 3]);
  });
});

const isRoot = process.getuid?.() === 0;
describe.skipIf(process.platform !== 'linux' || !isRoot)(
  'a full disk (a small tmpfs, which only root can mount)',
  () => {
    const onSmallDisk = async (
      size: string,
      skip: (note: string) => void,
      use: (folder: string) => Promise<void>,
    ): Promise<void> => {
      const folder = await mkdtemp(path.join(root, 'disk-'));
      const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]);
      if (mounted.status !== 0) {
        skip(`no tmpfs can be mounted here: ${mounted.stderr.toString()}`);
        return;
      }
      try {
        await use(folder);
      } finally {
        spawnSync('umount', [folder]);
      }
    };

    it('under the cache is the outcome of the synthetic model', async ({ skip }) => {
      await onSmallDisk('8m', skip, async (cache) => {
        const home = { ...newHome(), cache };
        const model = ['tinyllama-1.1b:Q4_0', '--layers', '2,4'];
        const { exitCode, stderr } = await run(['bench', ...model, good, ...CPU], home);
        expect(outcomesOf(home).at(-1)).toBe('measured');
        expect(outcomesOf(home)[0]).toBe('load-failed');
        expect(stderr).toMatch(/disk/);
        expect(exitCode).toBe(1);
      });
    });

    it('under the log ends the command with one sentence', async ({ skip }) => {
      await onSmallDisk('4k', skip, async (data) => {
        const home = { ...newHome(), data };
        const { exitCode, stderr } = await run(['bench', good, ...CPU], home);
        expect(exitCode).toBe(1);
        expect(stderr).toMatch(/error: The result .*(?:disk is full|could not be added)/);
      });
    });
  },
);
