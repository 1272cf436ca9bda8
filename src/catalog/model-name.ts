import { namesOfRecord, resolveModelLabel } from './model-label.ts';
import type { ModelRecord } from './model-record.ts';
import { CatalogNameError } from './name-error.ts';
import { nearestClause } from './nearest-names.ts';

export interface ResolvedModelName {
  readonly record: ModelRecord;
  /** As the caller's list spells it. */
  readonly quantisation: string;
}

/** The mix that people download most, and that llama.cpp itself takes when no tag is given. */
const DEFAULT_QUANTISATION = 'Q4_K_M';

/**
 * Resolves `name`, `name:QUANT` or `organisation/repository:QUANT`, in any case, and spellings of a known name: the name
 * of a GGUF repository or file, with or without `-Instruct`.
 * @param quantisations - the names that are known, in the order in which an error lists them.
 * @throws CatalogNameError naming the nearest ids, or the known quantisations.
 */
export function resolveModelName(
  text: string,
  records: readonly ModelRecord[],
  quantisations: readonly string[],
): ResolvedModelName {
  const colon = text.indexOf(':');
  const name = (colon < 0 ? text : text.slice(0, colon)).trim();
  const exact = findModel(name, records);
  const label = exact === null ? resolveModelLabel(name, records) : null;
  const record = exact ?? label?.record ?? null;
  if (record === null) {
    const known = records.map((model) => ({ id: model.id, names: namesOfRecord(model) }));
    throw new CatalogNameError(
      'unknown-model',
      `There is no model '${name}' in the catalogue${nearestClause(name, known, 'names')}. To list them: ridgepoint models. For a file of your own give its path, which ends in .gguf.`,
    );
  }
  const stated = colon < 0 ? (label?.quantisation ?? null) : text.slice(colon + 1).trim();
  const wanted = stated ?? record.nativeQuantisation ?? DEFAULT_QUANTISATION;
  const quantisation = quantisations.find((known) => sameName(known, wanted));
  if (quantisation === undefined) {
    throw new CatalogNameError(
      'unknown-quantisation',
      `The quantisation '${wanted}' of ${record.id} is not known; known are ${quantisations.join(', ')}.`,
    );
  }
  return { record, quantisation };
}

/** The record with this id, alias or repository, in any case; null when there is none. */
function findModel(name: string, records: readonly ModelRecord[]): ModelRecord | null {
  return records.find((record) => namesOfRecord(record).some((known) => sameName(known, name))) ?? null;
}

function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
