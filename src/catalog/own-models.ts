import { modelKey, namesOfRecord } from './model-label.ts';
import type { ModelRecord } from './model-record.ts';

/** The names of a record in one spelling, without publishers: two records may not share one. */
export function keysOfRecord(record: ModelRecord): string[] {
  return namesOfRecord(record).map((name) => modelKey(name.split('/').at(-1) ?? name));
}

/**
 * The user's own models before those of the catalogue. A model of the catalogue that shares a name with one of them is
 * left out, so that a file that was once added stays what it was when the catalogue grows.
 */
export function withOwnModels(
  own: readonly ModelRecord[],
  catalogue: readonly ModelRecord[],
): readonly ModelRecord[] {
  if (own.length === 0) return catalogue;
  const hidden = new Set(hiddenBy(own, catalogue));
  return [...own, ...catalogue.filter((record) => !hidden.has(record))];
}

/** The models of the catalogue that are hidden by those of the user. */
export function hiddenBy(own: readonly ModelRecord[], catalogue: readonly ModelRecord[]): ModelRecord[] {
  const taken = new Set(own.flatMap(keysOfRecord));
  return catalogue.filter((record) => keysOfRecord(record).some((key) => taken.has(key)));
}
