import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tinyShape } from '../../../test/fixtures/tiny-shapes.ts';
import { readGgufSummary, writeSparse } from './index.ts';

const MODEL = { shape: tinyShape('llama', { layers: 60 }), mix: 'Q4_K_M' } as const;
let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ridgepoint-sparse-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('writing a model without its weights', () => {
  it('gives a file of the full size that takes little more room than its header', async () => {
    const file = path.join(folder, 'hole.gguf');
    await writeSparse(MODEL, file);
    const { size, blocks } = await stat(file);
    const { tensorBytes } = await readGgufSummary(file);
    expect(size).toBeGreaterThan(tensorBytes);
    // The unit of `blocks` is 512 bytes (stat(2)).
    expect(blocks * 512).toBeLessThan(size / 2);
  });

  it('says in a sentence where it cannot be written', async () => {
    const file = path.join(folder, 'gone', 'hole.gguf');
    await expect(writeSparse(MODEL, file)).rejects.toMatchObject({
      name: 'ModelFileError',
      code: 'not-writable',
      message: `${file} cannot be written (ENOENT); its folder has to exist, to be yours to write to, and to take files with holes.`,
    });
  });

  it('leaves a file of somebody else alone', async () => {
    const file = path.join(folder, 'other.gguf');
    await writeFile(file, 'something');
    await expect(writeSparse(MODEL, file)).rejects.toMatchObject({ code: 'not-writable' });
    expect(await readdir(folder)).toEqual(['other.gguf']);
    expect((await stat(file)).size).toBe('something'.length);
  });
});
