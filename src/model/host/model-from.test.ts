import { createServer } from 'node:http';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readModelRecords } from '../../catalog/host/index.ts';
import { tinyShape } from '../../../test/fixtures/tiny-shapes.ts';
import { layOutGguf, type GgufLayout } from '../gguf/encode-header.ts';
import { planSyntheticFile } from '../synthetic/file-plan.ts';
import { tensorsOf } from '../tensors.ts';
import { isModelAddress, isModelFile, modelFrom, type NamedModel } from './model-from.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'ridgepoint-model-'));
const shape = tinyShape('qwen3moe');
const plan = planSyntheticFile({ shape, mix: 'Q5_K_M' });

const server = createServer((request, response) => {
  if (request.url?.startsWith('/api/models/org/tiny-GGUF/tree/main') === true) {
    response.end(JSON.stringify([{ type: 'file', path: 'tiny-UD-Q5_K_XL.gguf' }]));
    return;
  }
  // The page of a file is a text about it.
  if (request.url?.includes('/blob/') === true) {
    response.end('<!doctype html>');
    return;
  }
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  const end = Math.min(Number(to) + 1, plan.header.byteLength);
  // Less than was asked for, as servers may.
  const body = plan.header.subarray(Number(from), end);
  response.writeHead(206, { 'content-range': `bytes ${from}-${end - 1}/${plan.fileBytes}` }).end(body);
});
let endpoint = '';

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address !== null && typeof address !== 'string') endpoint = `http://127.0.0.1:${address.port}`;
});
afterAll(() => {
  rmSync(folder, { recursive: true });
  server.closeAllConnections();
  server.close();
});

function find(text: string): Promise<NamedModel> {
  const { signal } = new AbortController();
  return modelFrom(text, { records: readModelRecords(), access: { endpoint, token: null, signal } });
}

/** Writes the header of a model, and its weights as a hole. */
function written(name: string, { header, fileBytes }: GgufLayout): string {
  const file = path.join(folder, name);
  writeFileSync(file, header);
  truncateSync(file, fileBytes);
  return file;
}

describe('a quantisation behind a file', () => {
  it('is refused, as the file has its own, wherever it lies', async () => {
    const file = written('own-types.gguf', plan);
    for (const text of [`${file}:Q8_0`, 'missing.gguf:Q8_0', `${endpoint}/org/x/resolve/main/a.gguf:Q8_0`]) {
      await expect(find(text)).rejects.toThrow(
        /^\S+\.gguf is a file, whose weights have types of their own: leave out :Q8_0, or name a model of the catalogue with it\.$/,
      );
    }
  });

  it('belongs to a repository that is called like a file', async () => {
    await expect(find('org/repo.gguf:Q8_0')).rejects.not.toThrow('is a file');
  });
});

describe('what a MODEL means', () => {
  it('is a model of the catalogue by its name, its repository, and a repository of its files', async () => {
    for (const text of ['qwen3-30b-a3b:Q4_0', 'Qwen/Qwen3-30B-A3B:Q4_0', 'unsloth/Qwen3-30B-A3B-GGUF:q4_0']) {
      expect(await find(text)).toMatchObject({
        source: 'catalogue',
        id: 'qwen3-30b-a3b',
        mix: 'Q4_0',
        file: null,
      });
    }
  });

  it('knows the mix of mixtures by both its names', async () => {
    expect((await find('gpt-oss-20b:mxfp4_moe')).mix).toBe('MXFP4');
  });

  it('is a file, with the shape and the types that its header has', async () => {
    const found = await find(written('Tiny Model.gguf', plan));
    expect(found).toMatchObject({ source: 'file', id: 'tiny-model', mix: 'Q5_K_M', file: { otherTypes: 0 } });
    expect(found.shape).toMatchObject({ heads: shape.heads, kvHeads: shape.kvHeads, vocabularySize: 1024 });
    expect(tensorsOf(found.shape, found.mix).map(({ name, type }) => `${name} ${type}`)).toEqual(
      tensorsOf(shape, 'Q5_K_M').map(({ name, type }) => `${name} ${type}`),
    );
    expect(found.file?.fileBytes).toBe(plan.fileBytes);
  });

  it('is a file of the hub by the address of its page', async () => {
    const page = `${endpoint}/org/tiny-GGUF/blob/main/tiny-Q5_K_M.gguf?download=true`;
    expect(await find(page)).toMatchObject({
      source: 'address',
      id: 'tiny-q5-k-m',
      title: page,
      mix: 'Q5_K_M',
    });
  });

  it('is several files when the name says so, and an error when one is missing', async () => {
    const tensors = tensorsOf(shape, 'Q5_K_M');
    const part = (index: number): GgufLayout =>
      layOutGguf(
        [
          ['split.no', { type: 'u32', value: index }],
          ['split.count', { type: 'u32', value: 2 }],
        ],
        tensors.slice(index * 5, index === 0 ? 5 : tensors.length),
      );
    const second = written('set-00002-of-00002.gguf', part(1));
    await expect(find(second)).rejects.toThrow(/There is no file .*set-00001-of-00002\.gguf/);
    await expect(find(written('alone.gguf', part(0)))).rejects.toThrow(/one of 2 files; keep their names/);
    written('set-00001-of-00002.gguf', part(1));
    await expect(find(second)).rejects.toThrow(/File 1 of .* says that it is another one/);
  });

  it('is a file on the hub when the catalogue does not know it', async () => {
    const found = await find('org/tiny-GGUF:UD-Q5_K_XL');
    expect(found).toMatchObject({
      source: 'hub',
      id: 'tiny-gguf',
      title: 'org/tiny-GGUF:UD-Q5_K_XL',
      mix: 'Q5_K_M',
    });
    expect(found.shape.experts?.count).toBe(16);
    await expect(find('org/tiny-GGUF:Q4_0')).rejects.toThrow('org/tiny-GGUF has no Q4_0; it has UD-Q5_K_XL.');
  });

  it('is a file at an address', async () => {
    const found = await find(`${endpoint}/some/where/Tiny.Q5_K_M.gguf?download=true`);
    expect(found).toMatchObject({ source: 'address', id: 'tiny.q5-k-m', mix: 'Q5_K_M' });
  });

  it('counts the tensors whose type the mix would not give them', async () => {
    // The same file, said to be of another mix.
    const mixed = { ...plan, header: plan.header.slice() };
    const key = 'general.file_type';
    const at = Buffer.from(mixed.header).indexOf(key) + key.length;
    expect(mixed.header[at + 4]).toBe(17);
    mixed.header[at + 4] = 18;
    const found = await find(written('mixed.gguf', mixed));
    expect(found.mix).toBe('Q6_K');
    expect(found.file?.otherTypes).toBeGreaterThan(5);
    expect(found.file?.mixBytes).toBeGreaterThan(found.file?.tensorBytes ?? Infinity);
  });

  it('tells files from names', () => {
    expect(['a.gguf', './x', '/x', 'C:\\x', '../x.GGUF'].map(isModelFile)).toEqual(Array(5).fill(true));
    expect(['qwen3-8b', 'org/repo:Q4_0', 'https://x/a.gguf'].map(isModelFile)).toEqual(Array(3).fill(false));
    expect(isModelAddress('https://x/a.gguf')).toBe(true);
  });
});
