import { open, rm } from 'node:fs/promises';
import { bytes, formatBytes } from '../../units/index.ts';
import { planSyntheticFile, type SyntheticModel } from '../synthetic/file-plan.ts';
import { ModelFileError } from './model-file-error.ts';

/**
 * Writes the header of a model's file and leaves its weights a hole: a file of the full size that takes no room, for
 * an engine that looks at shapes alone.
 * @throws ModelFileError where not even the header can be written; then nothing stays behind.
 */
export async function writeSparse(model: SyntheticModel, path: string): Promise<void> {
  const layout = planSyntheticFile(model);
  try {
    const file = await open(path, 'wx');
    try {
      // A disk that fills up takes a part and says so only when it is asked to take the rest.
      await file.writeFile(layout.header);
      await file.truncate(layout.fileBytes);
    } finally {
      await file.close();
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    if (code !== 'EEXIST') await rm(path, { force: true }).catch(() => undefined);
    throw explained(code, path, layout.header.byteLength, error);
  }
}

function explained(code: string, path: string, headerBytes: number, cause: unknown): ModelFileError {
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new ModelFileError(
      'no-space',
      `${path} needs ${formatBytes(bytes(headerBytes))}, which its disk has not; free some space, or set TMPDIR to another folder.`,
      { cause },
    );
  }
  return new ModelFileError(
    'not-writable',
    `${path} cannot be written (${code}); its folder has to exist, to be yours to write to, and to take files with holes.`,
    { cause },
  );
}
