import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tinyShape } from '../../../test/fixtures/tiny-shapes.ts';
import { GIB, bytes } from '../../units/index.ts';
import { planSyntheticFile, type SyntheticModel } from '../index.ts';
import { openSyntheticCache, type CacheLease, type SyntheticCache } from './index.ts';

let directory = '';

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'ridgepoint-cache-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

const MODELS: readonly SyntheticModel[] = (['a', 'b', 'c'] as const).map((id, index) => ({
  shape: tinyShape('llama', { id, contextLength: 1024 * (index + 1) }),
  mix: 'Q4_0',
}));
const [FIRST, SECOND, THIRD] = MODELS as [SyntheticModel, SyntheticModel, SyntheticModel];
const ONE_FILE = planSyntheticFile(FIRST).fileBytes;

async function ensureAndRelease(cache: SyntheticCache, model: SyntheticModel): Promise<CacheLease> {
  const lease = await cache.ensure(model);
  await lease.release();
  return lease;
}

/** Makes a file look as if it had been used so many minutes ago. */
async function age(file: string, minutes: number): Promise<void> {
  const then = new Date(Date.now() - minutes * 60_000);
  await utimes(file, then, then);
}

const names = async (cache: SyntheticCache): Promise<string[]> =>
  (await cache.list()).map((file) => file.name.slice(0, 1)).sort();

describe('the cache of synthetic models', () => {
  it('writes a model once and then reuses it', async () => {
    const cache = await openSyntheticCache(directory, { limitBytes: GIB });
    const first = await ensureAndRelease(cache, FIRST);
    const again = await ensureAndRelease(cache, FIRST);
    expect([first.reused, again.reused]).toEqual([false, true]);
    expect(again.path).toBe(first.path);
    expect(path.basename(first.path)).toBe(`a.Q4_0.2of2.${first.shapeHash}.gguf`);
    expect(await readdir(directory)).toHaveLength(1);
  });

  it('writes once for callers that ask at the same time', async () => {
    const cache = await openSyntheticCache(directory, { limitBytes: GIB });
    const leases = await Promise.all([1, 2, 3].map(() => cache.ensure(FIRST)));
    expect(leases.map((lease) => lease.reused)).toEqual([false, true, true]);
  });

  it('writes again a file that has not the right size', async () => {
    const cache = await openSyntheticCache(directory, { limitBytes: GIB });
    const { path: file } = await ensureAndRelease(cache, FIRST);
    await truncate(file, 100);
    expect((await ensureAndRelease(cache, FIRST)).reused).toBe(false);
  });

  it('makes room by removing what was not used for longest', async () => {
    const cache = await openSyntheticCache(directory, { limitBytes: bytes(2.5 * ONE_FILE) });
    const first = await ensureAndRelease(cache, FIRST);
    const second = await ensureAndRelease(cache, SECOND);
    await age(first.path, 20);
    await age(second.path, 10);
    await ensureAndRelease(cache, FIRST);
    await ensureAndRelease(cache, THIRD);
    expect(await names(cache)).toEqual(['a', 'c']);
  });

  it('never removes a file that is in use, and says why there is no room', async () => {
    const cache = await openSyntheticCache(directory, { limitBytes: bytes(1.5 * ONE_FILE) });
    const lease = await cache.ensure(FIRST);
    await expect(cache.ensure(SECOND)).rejects.toThrow(/models of .* are in use/);
    expect(await cache.remove(path.basename(lease.path))).toBe(false);
    expect(await cache.clear()).toEqual([]);
    await lease.release();
    await ensureAndRelease(cache, SECOND);
    expect(await names(cache)).toEqual(['b']);
  });

  it('takes the leases of processes that died for released', async () => {
    const cache = await openSyntheticCache(directory, { limitBytes: GIB });
    const { path: file } = await ensureAndRelease(cache, FIRST);
    await writeFile(`${file}.lease-${spawnSync(process.execPath, ['-e', '']).pid}-0123456789ab`, '');
    expect((await cache.list()).map((each) => each.inUse)).toEqual([false]);
    expect(await readdir(directory)).toHaveLength(1);
  });

  it('refuses a model that is larger than its limit', async () => {
    const cache = await openSyntheticCache(directory, { limitBytes: bytes(ONE_FILE - 1) });
    await expect(cache.ensure(FIRST)).rejects.toThrow(/takes .* more than the .* that the cache may hold/);
    expect(await readdir(directory)).toEqual([]);
  });

  it('goes on after a call that was stopped', async () => {
    const cache = await openSyntheticCache(directory, { limitBytes: GIB });
    const stopped = cache.ensure(FIRST, { signal: AbortSignal.abort(new Error('stopped')) });
    const next = cache.ensure(FIRST);
    await expect(stopped).rejects.toThrow('stopped');
    expect((await next).reused).toBe(false);
  });

  it('removes one file, or all, and leaves those of others alone', async () => {
    const cache = await openSyntheticCache(directory, { limitBytes: GIB });
    const first = await ensureAndRelease(cache, FIRST);
    await ensureAndRelease(cache, SECOND);
    await writeFile(path.join(directory, 'my-own.gguf'), 'not ours');
    expect(await cache.remove('my-own.gguf')).toBe(false);
    expect(await cache.remove(path.basename(first.path))).toBe(true);
    expect((await cache.clear()).map((file) => file.name.slice(0, 1))).toEqual(['b']);
    expect(await readdir(directory)).toEqual(['my-own.gguf']);
  });
});
