import { open, stat, type FileHandle } from 'node:fs/promises';
import { GgufError } from '../gguf/gguf-error.ts';
import { HEADER_LIMITS, parseGgufHeader, type GgufHeader } from '../gguf/parse-header.ts';
import { summariseHeader, type ModelSummary } from '../gguf/summary.ts';

/** The first read; headers without a large vocabulary fit. */
const FIRST_READ_BYTES = 2 ** 20;

/**
 * Reads the header of a local GGUF file, and nothing behind it.
 * @throws GgufError for a missing file, a folder, a file that is no sound GGUF or that is cut short.
 */
export async function readGgufHeader(path: string): Promise<GgufHeader> {
  const file = await openModel(path);
  try {
    const { size } = await file.stat();
    let prefix: Uint8Array = new Uint8Array(0);
    let wanted = Math.min(FIRST_READ_BYTES, size);
    for (;;) {
      prefix = await extend(file, prefix, wanted);
      // A file that became shorter since it was measured is cut where the read ended.
      const fileBytes = prefix.byteLength < wanted ? prefix.byteLength : size;
      const progress = parseGgufHeader(prefix, fileBytes, path);
      if (progress.complete) return progress.header;
      // Twice as much each time keeps the work of starting over below that of the last pass.
      wanted = Math.min(
        Math.max(progress.neededBytes, prefix.byteLength * 2),
        size,
        HEADER_LIMITS.headerBytes,
      );
    }
  } finally {
    await file.close();
  }
}

/** What the header of a local GGUF file says about its model. @throws GgufError as readGgufHeader does. */
export async function readGgufSummary(path: string): Promise<ModelSummary> {
  return summariseHeader(await readGgufHeader(path));
}

async function openModel(path: string): Promise<FileHandle> {
  try {
    // A folder or a pipe is refused before it is opened: opening a pipe would wait for its other end.
    const found = await stat(path);
    if (found.isDirectory()) {
      throw new GgufError('directory', `${path} is a folder; give the path of a .gguf file in it.`);
    }
    if (!found.isFile()) throw new GgufError('unreadable', `${path} is not a regular file.`);
    return await open(path, 'r');
  } catch (error) {
    if (error instanceof GgufError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw code === 'ENOENT' || code === 'ENOTDIR'
      ? new GgufError('missing', `There is no file ${path}; check its path.`, { cause: error })
      : new GgufError('unreadable', `${path} cannot be opened (${code}).`, { cause: error });
  }
}

async function extend(file: FileHandle, prefix: Uint8Array, length: number): Promise<Uint8Array> {
  const longer = new Uint8Array(length);
  longer.set(prefix);
  let filled = prefix.byteLength;
  while (filled < length) {
    const { bytesRead } = await file.read(longer, filled, length - filled, filled);
    if (bytesRead === 0) return longer.subarray(0, filled);
    filled += bytesRead;
  }
  return longer;
}
