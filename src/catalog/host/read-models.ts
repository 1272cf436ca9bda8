import { fileURLToPath } from 'node:url';
import { modelFileSchema, sourcesFileSchema, type ModelRecord, type SourceRecord } from '../model-record.ts';
import { keysOfRecord } from '../own-models.ts';
import {
  CatalogDataError,
  DATA_FOLDER,
  readDataFile,
  readDataFolder,
  type FolderChoice,
} from './data-files.ts';

/**
 * Reads every file of `data/models`.
 * @param folder - another folder of model files; the package's own when absent.
 * @param choice - what to read; absent: all.
 * @throws CatalogDataError when a file is not valid, or when two records answer to the same name.
 */
export function readModelRecords(
  folder: URL = new URL('models/', DATA_FOLDER),
  choice?: FolderChoice,
): ModelRecord[] {
  const records = readDataFolder(folder, modelFileSchema, choice).flatMap((file) => file.models);
  refuseSharedNames(records, folder);
  return records;
}

/** Reads `data/sources.json`: the works that the records name by id. */
export function readSources(): SourceRecord[] {
  return readDataFile(new URL('sources.json', DATA_FOLDER), sourcesFileSchema).sources;
}

function refuseSharedNames(records: readonly ModelRecord[], folder: URL): void {
  const owners = new Map<string, string>();
  for (const record of records) {
    for (const key of keysOfRecord(record)) {
      const owner = owners.get(key);
      if (owner !== undefined && owner !== record.id) {
        throw new CatalogDataError(
          `'${key}' names both ${owner} and ${record.id} in ${fileURLToPath(folder)}; keep one.`,
        );
      }
      owners.set(key, record.id);
    }
  }
}
