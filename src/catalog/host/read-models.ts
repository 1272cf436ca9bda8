import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { modelFileSchema, sourcesFileSchema, type ModelRecord, type SourceRecord } from '../model-record.ts';

/** The package's own data folder: `src/` and `dist/` lie equally deep below the package root. */
const DATA_FOLDER = new URL('../../../data/', import.meta.url);

/** A data file of the catalogue that does not follow its schema; the message names the file and the field. */
export class CatalogDataError extends Error {
  override readonly name = 'CatalogDataError';
}

/**
 * Reads every file of `data/models`.
 * @param folder - another folder of model files; the package's own when absent.
 * @throws CatalogDataError when a file is not valid, or when two records answer to the same name.
 */
export function readModelRecords(folder: URL = new URL('models/', DATA_FOLDER)): ModelRecord[] {
  const records: ModelRecord[] = [];
  for (const name of readdirSync(folder).sort()) {
    if (!name.endsWith('.json')) continue;
    records.push(...readJson(new URL(name, folder), modelFileSchema).models);
  }
  refuseSharedNames(records);
  return records;
}

/** Reads `data/sources.json`: the works that the records name by id. */
export function readSources(): SourceRecord[] {
  return readJson(new URL('sources.json', DATA_FOLDER), sourcesFileSchema).sources;
}

function readJson<T>(file: URL, schema: z.ZodType<T>): T {
  const path = fileURLToPath(file);
  let document: unknown;
  try {
    document = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new CatalogDataError(`${path} cannot be read as JSON; repair or reinstall it.`, { cause: error });
  }
  const parsed = schema.safeParse(document);
  if (!parsed.success) throw new CatalogDataError(`${path} is not valid: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

function refuseSharedNames(records: readonly ModelRecord[]): void {
  const owners = new Map<string, string>();
  for (const record of records) {
    for (const name of [record.id, record.repository, ...record.aliases]) {
      const owner = owners.get(name.toLowerCase());
      if (owner !== undefined && owner !== record.id) {
        throw new CatalogDataError(
          `'${name}' names both ${owner} and ${record.id} in data/models; keep one.`,
        );
      }
      owners.set(name.toLowerCase(), record.id);
    }
  }
}
