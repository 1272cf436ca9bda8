import type * as Crypto from 'node:crypto';
import { open, readdir, rename, rm, statfs, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { bytes, formatBytes, type Bytes } from '../../units/index.ts';
import { padded, DEFAULT_ALIGNMENT } from '../gguf/metadata.ts';
import { BlockPools } from '../synthetic/block-pool.ts';
import { planSyntheticFile, type SyntheticModel } from '../synthetic/file-plan.ts';
import { shapeHash } from '../synthetic/shape-hash.ts';
import { recipeOf } from '../synthetic/weights.ts';
import { processIsAlive } from './live-process.ts';
import { ModelFileError } from './model-file-error.ts';
import type { GgufLayout } from '../gguf/encode-header.ts';

/** How far a file is written. */
export interface WriteProgress {
  readonly writtenBytes: Bytes;
  readonly totalBytes: Bytes;
}

export interface WriteSyntheticOptions extends SyntheticModel {
  readonly path: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: WriteProgress) => void) | undefined;
}

export interface WrittenFile {
  readonly path: string;
  readonly bytes: Bytes;
  readonly shapeHash: string;
}

/** Loaded where it is used: all of it takes a tenth of the time of an answer that needs none of it. */
const nodeCrypto = (): typeof Crypto => process.getBuiltinModule('node:crypto');

/** Tells files apart that one process writes at the same time. */
export const randomSuffix = (): string => nodeCrypto().randomBytes(6).toString('hex');

/** The shape hash of a synthetic file, with Node's SHA-256. */
export function shapeHashOf(model: SyntheticModel): string {
  return shapeHash(model, (text) => nodeCrypto().createHash('sha256').update(text).digest('hex'));
}

/**
 * Writes the synthetic GGUF of a model, whole or not at all: into a partial file beside the target, which is synced
 * and then renamed. On failure or abort nothing stays behind; partial files of processes that died are removed.
 * @throws ModelFileError when there is no room or the folder cannot be written; the signal's reason on abort.
 */
export async function writeSynthetic(options: WriteSyntheticOptions): Promise<WrittenFile> {
  const { path: target, signal } = options;
  signal?.throwIfAborted();
  const folder = path.dirname(path.resolve(target));
  const layout = planSyntheticFile(options);
  const hash = shapeHashOf(options);
  const partial = `${target}.partial-${process.pid}-${randomSuffix()}`;
  try {
    await removeStalePartials(folder);
    await refuseShortSpace(folder, layout.fileBytes, target);
    const file = await open(partial, 'wx');
    try {
      await writeContent(file, layout, hash, options);
      await file.sync();
    } finally {
      await file.close();
    }
    signal?.throwIfAborted();
    await rename(partial, target);
    await syncFolder(folder);
  } catch (error) {
    await rm(partial, { force: true });
    throw await explained(error, folder, target, layout.fileBytes);
  }
  return { path: target, bytes: bytes(layout.fileBytes), shapeHash: hash };
}

/** Progress is told after this many bytes: often enough for a bar, seldom enough to cost nothing. */
const PROGRESS_STEP = 64 * 2 ** 20;

async function writeContent(
  file: FileHandle,
  layout: GgufLayout,
  hash: string,
  { shape, signal, onProgress }: WriteSyntheticOptions,
): Promise<void> {
  const totalBytes = bytes(layout.fileBytes);
  const content = layout.tensors.map(({ tensor }) => ({ tensor, recipe: recipeOf(tensor, shape) }));
  const demands = content.flatMap(({ tensor, recipe }) =>
    recipe.kind === 'random' ? [{ type: tensor.type, deviation: recipe.deviation, bytes: tensor.bytes }] : [],
  );
  const pools = new BlockPools(hash, demands);
  let written = 0;
  let told = 0;
  const write = async (chunk: Uint8Array): Promise<void> => {
    signal?.throwIfAborted();
    await writeFully(file, chunk);
    written += chunk.byteLength;
    if (written - told >= PROGRESS_STEP || written === totalBytes) {
      told = written;
      onProgress?.({ writtenBytes: bytes(written), totalBytes });
    }
  };
  await write(layout.header);
  for (const { tensor, recipe } of content) {
    if (recipe.kind === 'values') {
      await write(littleEndianBytes(recipe.values));
    } else {
      for (const chunk of pools.chunksOf(tensor.name, tensor.type, recipe.deviation, tensor.bytes)) {
        await write(chunk);
      }
    }
    const padding = padded(tensor.bytes, DEFAULT_ALIGNMENT) - tensor.bytes;
    if (padding > 0) await write(new Uint8Array(padding));
  }
}

async function writeFully(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.byteLength;) {
    const { bytesWritten } = await file.write(chunk, offset, chunk.byteLength - offset);
    offset += bytesWritten;
  }
}

function littleEndianBytes(values: Float32Array | Int32Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.byteLength));
  if (values instanceof Int32Array) values.forEach((value, index) => view.setInt32(index * 4, value, true));
  else values.forEach((value, index) => view.setFloat32(index * 4, value, true));
  return new Uint8Array(view.buffer);
}

async function freeBytes(folder: string): Promise<Bytes> {
  const { bavail, bsize } = await statfs(folder);
  return bytes(bavail * bsize);
}

async function refuseShortSpace(folder: string, needed: number, target: string): Promise<void> {
  const free = await freeBytes(folder);
  if (needed > free) throw noSpace(target, needed, free);
}

function noSpace(target: string, needed: number, free: Bytes, cause?: unknown): ModelFileError {
  return new ModelFileError(
    'no-space',
    `${target} needs ${formatBytes(bytes(needed))} but its disk has ${formatBytes(free)} free; free some space or choose another folder.`,
    { cause },
  );
}

/** A full disk and an unwritable folder in the user's words; anything else as it is. */
async function explained(error: unknown, folder: string, target: string, needed: number): Promise<unknown> {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT') return noSpace(target, needed, await freeBytes(folder), error);
  if (code === 'ENOENT' || code === 'EACCES' || code === 'EROFS' || code === 'ENOTDIR' || code === 'EISDIR') {
    return new ModelFileError(
      'not-writable',
      `${target} cannot be written (${code}); choose a folder that exists and that you may write to.`,
      { cause: error },
    );
  }
  return error;
}

const PARTIAL_NAME = /\.partial-(?<pid>\d+)-[0-9a-f]{12}$/;

/** Removes what writers that were killed left behind; those of living processes stay. */
export async function removeStalePartials(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = PARTIAL_NAME.exec(name)?.groups?.['pid'];
    if (pid !== undefined && !processIsAlive(Number(pid))) await rm(path.join(folder, name), { force: true });
  }
}

/** Makes the rename itself survive a power cut. Windows has no such call for folders. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
