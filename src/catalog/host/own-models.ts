import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { modelRecordSchema, type ModelRecord } from '../model-record.ts';
import { CatalogDataError } from './data-files.ts';
import { readModelRecords } from './read-models.ts';

/**
 * The models that a user added: the files of a folder like `data/models`.
 * @throws CatalogDataError naming the file and the field that is wrong.
 */
export function readOwnModels(folder: string): readonly ModelRecord[] {
  if (!existsSync(folder)) return [];
  try {
    return readModelRecords(pathToFileURL(`${folder}${path.sep}`));
  } catch (error) {
    if (!(error instanceof CatalogDataError)) throw error;
    const problem = error.message.replace(/; repair or reinstall it\.$/, '.');
    throw new CatalogDataError(
      `A model that you added cannot be read: ${problem}\nMend that file, or delete it (ridgepoint models remove, with the name of the file without .json).`,
      { cause: error },
    );
  }
}

/**
 * Writes a model into a file of its own, which replaces the one of the same id.
 * @returns the path of the file.
 * @throws CatalogDataError naming the field that is wrong, or why the file cannot be written; then nothing stays behind.
 */
export async function writeOwnModel(folder: string, record: ModelRecord): Promise<string> {
  const parsed = modelRecordSchema.safeParse(record);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const problem =
      issue === undefined ? 'it is not valid' : [issue.path.join('.'), issue.message].join(': ');
    throw new CatalogDataError(`${record.id} cannot be kept as a model: ${problem}.`);
  }
  const model = parsed.data;
  const target = path.join(folder, `${model.id}.json`);
  const document = `${JSON.stringify({ schemaVersion: 1, models: [model] }, null, 2)}\n`;
  // Written beside it first: a command that reads the folder meanwhile finds the old file or the new one.
  const unfinished = `${target}.${process.pid}.part`;
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(unfinished, document);
    await rename(unfinished, target);
  } catch (error) {
    // Where the folder itself is the trouble, nothing was written that could be removed.
    await rm(unfinished, { force: true }).catch(() => undefined);
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    const remedy =
      code === 'ENOSPC' || code === 'EDQUOT'
        ? 'its disk is full; free some space'
        : `${code}; choose a data folder that you may write to`;
    throw new CatalogDataError(`${target} cannot be written: ${remedy}.`, { cause: error });
  }
  return target;
}

/** Removes a model that a user added, whether or not its file can be read. @returns whether there was one. */
export async function removeOwnModel(folder: string, id: string): Promise<boolean> {
  // An id is the name of a file of this folder, and never a way out of it.
  const file = path.join(folder, `${id}.json`);
  if (path.basename(file) !== `${id}.json` || !existsSync(file)) return false;
  await rm(file);
  return true;
}
