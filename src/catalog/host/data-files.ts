import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';

/** The package's own data folder: `src/` and `dist/` lie equally deep below the package root. */
export const DATA_FOLDER = new URL('../../../data/', import.meta.url);

/** A data file of the catalogue that does not follow its schema; the message names the file and the field. */
export class CatalogDataError extends Error {
  override readonly name = 'CatalogDataError';
}

/** Which records of a data file to read: checking few instead of all is what makes an answer quick. */
export interface RecordChoice {
  /** The list of the file that holds the records. */
  readonly list: string;
  readonly isChosen: (record: unknown) => boolean;
}

/** Reads one data file and checks it. @param choice - the records to check and to return; absent: all. */
export function readDataFile<T>(file: URL, schema: z.ZodType<T>, choice?: RecordChoice): T {
  const path = fileURLToPath(file);
  let document: unknown;
  try {
    document = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new CatalogDataError(`${path} cannot be read as JSON; repair or reinstall it.`, { cause: error });
  }
  // Compiling the checks costs more than it saves on a few records.
  const parsed =
    choice === undefined
      ? schema.safeParse(document)
      : schema.safeParse(chosenOf(document, choice), { jitless: true });
  if (!parsed.success) throw new CatalogDataError(`${path} is not valid: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/** The document with the chosen records alone; as it is where none is chosen, or where it has no such list. */
function chosenOf(document: unknown, { list, isChosen }: RecordChoice): unknown {
  if (typeof document !== 'object' || document === null) return document;
  const records: unknown = Reflect.get(document, list);
  const chosen = Array.isArray(records) ? records.filter(isChosen) : [];
  return chosen.length === 0 ? document : { ...document, [list]: chosen };
}

/** What of a folder to read. */
export interface FolderChoice extends RecordChoice {
  /** The names of the files. */
  readonly files: ReadonlySet<string>;
}

/** Reads the JSON files of a folder, in the order of their names. @param choice - what to read; absent: all. */
export function readDataFolder<T>(folder: URL, schema: z.ZodType<T>, choice?: FolderChoice): T[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json') && choice?.files.has(name) !== false)
    .sort()
    .map((name) => readDataFile(new URL(name, folder), schema, choice));
}
