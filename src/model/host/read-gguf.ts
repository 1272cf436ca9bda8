import { open, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { GgufError } from '../gguf/gguf-error.ts';
import type { GgufHeader } from '../gguf/parse-header.ts';
import { mergeParts, splitSetOf } from '../gguf/split.ts';
import { summariseHeader, type ModelSummary } from '../gguf/summary.ts';
import { readHeaderOf } from './read-header.ts';

/** The first read; headers without a large vocabulary fit. */
const FIRST_READ_BYTES = 2 ** 20;

/**
 * Reads the header of a local model, and nothing behind it. A file that is one of several by its name stands for all.
 * @throws GgufError for a missing file, a folder, a file that is no sound GGUF or that is cut short.
 */
export async function readGgufHeader(file: string): Promise<GgufHeader> {
  const set = splitSetOf(path.basename(file));
  if (set === null) return mergeParts([await readOneHeader(file)], file);
  // The file that was asked for comes first, so that an error about it is about its name.
  await readOneHeader(file);
  const parts: GgufHeader[] = [];
  for (const name of set) parts.push(await readOneHeader(path.join(path.dirname(file), name)));
  return mergeParts(parts, file);
}

async function readOneHeader(file: string): Promise<GgufHeader> {
  const handle = await openModel(file);
  try {
    const { size } = await handle.stat();
    return await readHeaderOf({
      label: file,
      firstReadBytes: FIRST_READ_BYTES,
      read: async (start, end) => ({
        bytes: await readUpTo(handle, start, Math.min(end, size)),
        fileBytes: size,
      }),
    });
  } finally {
    await handle.close();
  }
}

/** What the header of a local GGUF file says about its model. @throws GgufError as readGgufHeader does. */
export async function readGgufSummary(file: string): Promise<ModelSummary> {
  return summariseHeader(await readGgufHeader(file));
}

async function openModel(file: string): Promise<FileHandle> {
  try {
    // A folder or a pipe is refused before it is opened: opening a pipe would wait for its other end.
    const found = await stat(file);
    if (found.isDirectory()) {
      throw new GgufError('directory', `${file} is a folder; give the path of a .gguf file in it.`);
    }
    if (!found.isFile()) throw new GgufError('unreadable', `${file} is not a regular file.`);
    return await open(file, 'r');
  } catch (error) {
    if (error instanceof GgufError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw code === 'ENOENT' || code === 'ENOTDIR'
      ? new GgufError('missing', `There is no file ${file}; check its path.`, { cause: error })
      : new GgufError('unreadable', `${file} cannot be opened (${code}).`, { cause: error });
  }
}

async function readUpTo(handle: FileHandle, start: number, end: number): Promise<Uint8Array> {
  const target = new Uint8Array(Math.max(0, end - start));
  let filled = 0;
  while (filled < target.byteLength) {
    const { bytesRead } = await handle.read(target, filled, target.byteLength - filled, start + filled);
    if (bytesRead === 0) return target.subarray(0, filled);
    filled += bytesRead;
  }
  return target;
}
