import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { statfsSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TINY_ARCHITECTURES, tinyShape } from '../../../test/fixtures/tiny-shapes.ts';
import { MIX_NAMES, weightBytes } from '../index.ts';
import { readGgufSummary, shapeHashOf, writeSynthetic } from './index.ts';

let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ridgepoint-write-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Wide enough that writing takes several steps: 50 MB. */
const LARGE = tinyShape('llama', { layers: 60 });

describe('writing a synthetic model', () => {
  it.each(TINY_ARCHITECTURES)('gives a %s file that its reader takes, in every mix', async (architecture) => {
    const shape = tinyShape(architecture);
    for (const mix of MIX_NAMES) {
      const target = path.join(folder, `${mix}.gguf`);
      const written = await writeSynthetic({ shape, mix, path: target });
      expect((await stat(target)).size).toBe(written.bytes);
      const summary = await readGgufSummary(target);
      expect(summary).toMatchObject({ architecture, mix, tensorBytes: weightBytes(shape, mix) });
      expect(summary.name).toContain('synthetic');
    }
    expect(await readdir(folder)).toHaveLength(MIX_NAMES.length);
  });

  it('gives the same bytes for the same model and others for another', async () => {
    const digest = async (name: string, layers?: readonly number[]): Promise<string> => {
      const target = path.join(folder, name);
      await writeSynthetic({ shape: tinyShape('qwen3moe'), mix: 'Q4_K_M', layers, path: target });
      return createHash('sha256')
        .update(await readFile(target))
        .digest('hex');
    };
    expect(await digest('a')).toBe(await digest('b'));
    expect(await digest('c', [0])).not.toBe(await digest('a'));
  });

  it('leaves nothing behind when it is stopped', async () => {
    const target = path.join(folder, 'stopped.gguf');
    const stop = new AbortController();
    const writing = writeSynthetic({
      shape: LARGE,
      mix: 'F32',
      path: target,
      signal: stop.signal,
      onProgress: () => stop.abort(new Error('stopped by the user')),
    });
    await expect(writing).rejects.toThrow('stopped by the user');
    expect(await readdir(folder)).toEqual([]);
  });

  it('keeps the old file when the new one is not finished', async () => {
    const target = path.join(folder, 'kept.gguf');
    await writeFile(target, 'old');
    await expect(
      writeSynthetic({ shape: LARGE, mix: 'F16', path: target, signal: AbortSignal.abort() }),
    ).rejects.toThrow(/aborted/);
    expect(await readFile(target, 'utf8')).toBe('old');
  });

  it('tells progress up to the whole', async () => {
    const seen: number[] = [];
    const { bytes } = await writeSynthetic({
      shape: LARGE,
      mix: 'F32',
      path: path.join(folder, 'progress.gguf'),
      onProgress: ({ writtenBytes }) => seen.push(writtenBytes),
    });
    expect(seen.length).toBeGreaterThan(1);
    expect(seen.at(-1)).toBe(bytes);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  });

  it('removes what writers that were killed left, and nothing of living ones', async () => {
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    await writeFile(path.join(folder, `x.gguf.partial-${dead}-0123456789ab`), 'half');
    await writeFile(path.join(folder, `y.gguf.partial-${process.pid}-0123456789ab`), 'half');
    await writeSynthetic({ shape: tinyShape('llama'), mix: 'Q4_0', path: path.join(folder, 'z.gguf') });
    expect((await readdir(folder)).sort()).toEqual([`y.gguf.partial-${process.pid}-0123456789ab`, 'z.gguf']);
  });

  it('says so when the folder is not there', async () => {
    const target = path.join(folder, 'absent', 'f.gguf');
    await expect(
      writeSynthetic({ shape: tinyShape('llama'), mix: 'Q4_0', path: target }),
    ).rejects.toMatchObject({ code: 'not-writable' });
  });

  it('gives the hash of a shape, not of its name', () => {
    const shape = tinyShape('llama');
    const hash = shapeHashOf({ shape, mix: 'Q4_0' });
    expect(hash).toMatch(/^[0-9a-f]{16}$/);
    expect(shapeHashOf({ shape: { ...shape, id: 'other' }, mix: 'Q4_0', layers: [0, 1] })).toBe(hash);
    expect(shapeHashOf({ shape, mix: 'Q8_0' })).not.toBe(hash);
    expect(shapeHashOf({ shape: { ...shape, contextLength: 4096 }, mix: 'Q4_0' })).not.toBe(hash);
  });
});

/** A file system of four megabytes; null, with the reason printed, where it cannot be mounted. */
async function mountSmallDisk(): Promise<string | null> {
  const place = path.join(folder, 'disk');
  await mkdir(place);
  const { status, stderr, error } = spawnSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', place]);
  if (status === 0) return place;
  process.stderr.write(
    `no small tmpfs, the full-disk test is skipped: ${error?.message ?? String(stderr)}\n`,
  );
  return null;
}

describe('a full disk', () => {
  let disk: string | null = null;

  beforeEach(async () => {
    disk = await mountSmallDisk();
  });

  afterEach(() => {
    if (disk !== null) execFileSync('/bin/umount', [disk]);
  });

  it('is seen before anything is written', async ({ skip }) => {
    if (disk === null) {
      skip('no tmpfs can be mounted');
      return;
    }
    const target = path.join(disk, 'large.gguf');
    await expect(writeSynthetic({ shape: LARGE, mix: 'Q4_0', path: target })).rejects.toThrow(
      /needs .*MiB but its disk has 4.* MiB free/,
    );
    expect(await readdir(disk)).toEqual([]);
  });

  it('that fills up while the file is written gives the same error and leaves nothing', async ({ skip }) => {
    if (disk === null) {
      skip('no tmpfs can be mounted');
      return;
    }
    const place = disk;
    const { signal } = new AbortController();
    let steps = 0;
    // The writer asks its signal before each step: in the middle, another program takes what is left of the disk.
    signal.throwIfAborted = () => {
      steps += 1;
      if (steps !== 10) return;
      const { bavail, bsize } = statfsSync(place);
      writeFileSync(path.join(place, 'other'), new Uint8Array(bavail * bsize));
    };
    const shape = tinyShape('llama', { layers: 4 });
    const writing = writeSynthetic({ shape, mix: 'Q8_0', path: path.join(place, 'late.gguf'), signal });
    await expect(writing).rejects.toThrow(/late\.gguf needs .*MiB but its disk has .* free/);
    expect(steps).toBeGreaterThanOrEqual(10);
    expect(await readdir(place)).toEqual(['other']);
  });
});

describe('reading a local GGUF file', () => {
  const codeOf = (file: string): Promise<unknown> =>
    readGgufSummary(file).then(
      () => 'none',
      (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
    );

  it('says what is wrong with the path', async () => {
    expect(await codeOf(path.join(folder, 'absent.gguf'))).toBe('missing');
    expect(await codeOf(folder)).toBe('directory');
    await writeFile(path.join(folder, 'text.gguf'), '# not a model');
    expect(await codeOf(path.join(folder, 'text.gguf'))).toBe('not-gguf');
    await writeFile(path.join(folder, 'empty.gguf'), '');
    expect(await codeOf(path.join(folder, 'empty.gguf'))).toBe('not-gguf');
  });

  it('sees that a file was cut short, in its data or in its header', async () => {
    const file = path.join(folder, 'cut.gguf');
    const { bytes } = await writeSynthetic({ shape: tinyShape('llama'), mix: 'Q4_0', path: file });
    await truncate(file, bytes - 1000);
    await expect(readGgufSummary(file)).rejects.toThrow(/cut\.gguf is cut short: its tensors need/);
    await truncate(file, 1000);
    expect(await codeOf(file)).toBe('truncated');
  });

  it('reads a header that is longer than its first read', async () => {
    const file = path.join(folder, 'long.gguf');
    const shape = tinyShape('llama', { vocabularySize: 120_000 });
    await writeSynthetic({ shape, mix: 'Q4_0', path: file });
    expect((await readGgufSummary(file)).tensorBytes).toBe(weightBytes(shape, 'Q4_0'));
  });
});
