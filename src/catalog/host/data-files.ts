import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';

/** The package's own data folder: `src/` and `dist/` lie equally deep below the package root. */
export const DATA_FOLDER = new URL('../../../data/', import.meta.url);

/** A data file of the catalogue that does not follow its schema; the message names the file and the field. */
export class CatalogDataError extends Error {
  override readonly name = 'CatalogDataError';
}

/** Reads one data file and checks it. */
export function readDataFile<T>(file: URL, schema: z.ZodType<T>): T {
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

/**
 * Reads the JSON files of a folder, in the order of their names.
 * @param only - the names of the files to read; absent: all.
 */
export function readDataFolder<T>(folder: URL, schema: z.ZodType<T>, only?: ReadonlySet<string>): T[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json') && only?.has(name) !== false)
    .sort()
    .map((name) => readDataFile(new URL(name, folder), schema));
}
