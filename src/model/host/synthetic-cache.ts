import { mkdir, readdir, rm, stat, statfs, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { bytes, formatBytes, type Bytes } from '../../units/index.ts';
import { planSyntheticFile, type SyntheticModel } from '../synthetic/file-plan.ts';
import { processIsAlive } from './live-process.ts';
import { ModelFileError } from './model-file-error.ts';
import {
  randomSuffix,
  removeStalePartials,
  shapeHashOf,
  writeSynthetic,
  type WriteProgress,
} from './write-synthetic.ts';

/** A file of the cache. */
export interface CachedFile {
  readonly name: string;
  readonly path: string;
  readonly bytes: Bytes;
  readonly lastUsed: Date;
  /** A living process has said that it reads the file: it is never evicted. */
  readonly inUse: boolean;
}

/** A file that is there and stays there until it is released. */
export interface CacheLease {
  readonly path: string;
  readonly bytes: Bytes;
  readonly shapeHash: string;
  /** The file was there already. */
  readonly reused: boolean;
  /** Lets the cache evict the file again; a process that ends releases all that it holds. */
  readonly release: () => Promise<void>;
}

export interface EnsureOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: WriteProgress) => void) | undefined;
}

export interface SyntheticCache {
  readonly directory: string;
  /**
   * Makes sure that the file of a model is there, whole. One file is written at a time; to make room, files that were
   * not used for longest go first.
   * @throws ModelFileError when it does not fit the limit or the disk; the signal's reason on abort.
   */
  readonly ensure: (model: SyntheticModel, options?: EnsureOptions) => Promise<CacheLease>;
  /** The most recently used first. */
  readonly list: () => Promise<CachedFile[]>;
  /** Removes one file by its name. @returns false when there is none of that name or it is in use. */
  readonly remove: (name: string) => Promise<boolean>;
  /** Removes all files that are not in use. @returns what was removed. */
  readonly clear: () => Promise<CachedFile[]>;
}

/**
 * Opens a cache of synthetic models, and makes its folder if need be.
 * @param limitBytes - what all files together may take.
 */
export async function openSyntheticCache(
  directory: string,
  { limitBytes }: { readonly limitBytes: Bytes },
): Promise<SyntheticCache> {
  await mkdir(directory, { recursive: true });
  await removeStalePartials(directory);
  let last: Promise<unknown> = Promise.resolve();
  const list = (): Promise<CachedFile[]> => listFiles(directory);
  const removeUnused = async (file: CachedFile): Promise<boolean> => {
    if (file.inUse) return false;
    await rm(file.path, { force: true });
    return true;
  };
  return {
    directory,
    list,
    ensure(model, options = {}) {
      // One after the other: two large files are never written at once, and the second finds the first one's file.
      const turn = last.then(() => ensureFile({ directory, limitBytes }, model, options));
      last = turn.catch(() => undefined);
      return turn;
    },
    async remove(name) {
      const file = (await list()).find((each) => each.name === name);
      return file === undefined ? false : removeUnused(file);
    },
    async clear() {
      const removed: CachedFile[] = [];
      for (const file of await list()) if (await removeUnused(file)) removed.push(file);
      return removed;
    },
  };
}

interface Place {
  readonly directory: string;
  readonly limitBytes: Bytes;
}

async function ensureFile(place: Place, model: SyntheticModel, options: EnsureOptions): Promise<CacheLease> {
  options.signal?.throwIfAborted();
  const shapeHash = shapeHashOf(model);
  const name = fileNameOf(model, shapeHash);
  const target = path.join(place.directory, name);
  const neededBytes = bytes(planSyntheticFile(model).fileBytes);
  const release = await takeLease(target);
  const lease = { path: target, bytes: neededBytes, shapeHash, release };
  try {
    if ((await sizeOf(target)) === neededBytes) {
      const now = new Date();
      await utimes(target, now, now);
      return { ...lease, reused: true };
    }
    await rm(target, { force: true });
    await makeRoom(place, name, neededBytes);
    await writeSynthetic({ ...model, ...options, path: target });
    return { ...lease, reused: false };
  } catch (error) {
    await release();
    throw error;
  }
}

/** `<model>.<mix>.<layers>of<all>.<hash>.gguf`: readable in a listing, and certain through the hash. */
function fileNameOf({ shape, mix, layers }: SyntheticModel, shapeHash: string): string {
  const id = shape.id.replaceAll(/[^\w.-]/g, '-');
  return `${id}.${mix}.${layers?.length ?? shape.layers}of${shape.layers}.${shapeHash}.gguf`;
}

const FILE_NAME = /\.\d+of\d+\.[0-9a-f]{16}\.gguf$/;
const LEASE_NAME = /^(?<file>.+\.gguf)\.lease-(?<pid>\d+)-[0-9a-f]{12}$/;

async function takeLease(target: string): Promise<() => Promise<void>> {
  const lease = `${target}.lease-${process.pid}-${randomSuffix()}`;
  await writeFile(lease, '');
  return () => rm(lease, { force: true });
}

/** The files in use; leases of processes that died are removed on the way. */
async function leasedNames(directory: string, names: readonly string[]): Promise<Set<string>> {
  const leased = new Set<string>();
  for (const name of names) {
    const { file, pid } = LEASE_NAME.exec(name)?.groups ?? {};
    if (file === undefined || pid === undefined) continue;
    if (processIsAlive(Number(pid))) leased.add(file);
    else await rm(path.join(directory, name), { force: true });
  }
  return leased;
}

async function listFiles(directory: string): Promise<CachedFile[]> {
  const names = await readdir(directory);
  const leased = await leasedNames(directory, names);
  const files: CachedFile[] = [];
  for (const name of names) {
    if (!FILE_NAME.test(name)) continue;
    const file = path.join(directory, name);
    const found = await stat(file).catch(() => null); // evicted by another process since the listing
    if (found === null || !found.isFile()) continue;
    files.push({
      name,
      path: file,
      bytes: bytes(found.size),
      lastUsed: found.mtime,
      inUse: leased.has(name),
    });
  }
  return files.sort((a, b) => b.lastUsed.getTime() - a.lastUsed.getTime());
}

async function sizeOf(file: string): Promise<number | null> {
  const found = await stat(file).catch(() => null);
  return found?.size ?? null;
}

/** Evicts until the new file fits both the limit and the disk. */
async function makeRoom({ directory, limitBytes }: Place, name: string, neededBytes: Bytes): Promise<void> {
  if (neededBytes > limitBytes) {
    throw new ModelFileError(
      'cache-limit',
      `${name} takes ${formatBytes(neededBytes)}, more than the ${formatBytes(limitBytes)} that the cache may hold; raise the limit or run fewer layers.`,
    );
  }
  const files = await listFiles(directory);
  const { bavail, bsize } = await statfs(directory);
  let total = files.reduce((sum, file) => sum + file.bytes, 0);
  let free = bavail * bsize;
  for (const file of files.toReversed()) {
    if (total + neededBytes <= limitBytes && neededBytes <= free) return;
    if (file.inUse) continue;
    await rm(file.path, { force: true });
    total -= file.bytes;
    free += file.bytes;
  }
  if (total + neededBytes > limitBytes) {
    throw new ModelFileError(
      'cache-limit',
      `${name} takes ${formatBytes(neededBytes)} and models of ${formatBytes(bytes(total))} are in use, more together than the ${formatBytes(limitBytes)} that the cache may hold; raise the limit or wait for the other run.`,
    );
  }
}
