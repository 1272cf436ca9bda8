import type { ModelRecord } from './model-record.ts';

export type ModelNameErrorCode = 'unknown-model' | 'unknown-quantisation';

/** A model was asked for by a name that the catalogue cannot resolve. The message is one sentence for the user. */
export class ModelNameError extends Error {
  override readonly name = 'ModelNameError';
  readonly code: ModelNameErrorCode;

  constructor(code: ModelNameErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export interface ResolvedModelName {
  readonly record: ModelRecord;
  /** As the caller's list spells it. */
  readonly quantisation: string;
}

/** The mix that people download most, and that llama.cpp itself takes when no tag is given. */
const DEFAULT_QUANTISATION = 'Q4_K_M';
const NEAREST_SHOWN = 3;

/**
 * Resolves `name`, `name:QUANT` or `organisation/repository:QUANT`, in any case.
 * @param quantisations - the names that are known, in the order in which an error lists them.
 * @throws ModelNameError naming the nearest ids, or the known quantisations.
 */
export function resolveModelName(
  text: string,
  records: readonly ModelRecord[],
  quantisations: readonly string[],
): ResolvedModelName {
  const colon = text.indexOf(':');
  const name = (colon < 0 ? text : text.slice(0, colon)).trim();
  const record = findModel(name, records);
  if (record === null) {
    const nearest = nearestIds(name, records).join(', ');
    throw new ModelNameError(
      'unknown-model',
      `There is no model '${name}' in the catalogue; the nearest names are ${nearest}. For a file of your own give its path, which ends in .gguf.`,
    );
  }
  const wanted =
    colon < 0 ? (record.nativeQuantisation ?? DEFAULT_QUANTISATION) : text.slice(colon + 1).trim();
  const quantisation = quantisations.find((known) => sameName(known, wanted));
  if (quantisation === undefined) {
    throw new ModelNameError(
      'unknown-quantisation',
      `The quantisation '${wanted}' of ${record.id} is not known; known are ${quantisations.join(', ')}.`,
    );
  }
  return { record, quantisation };
}

/** The record with this id, alias or repository, in any case; null when there is none. */
function findModel(name: string, records: readonly ModelRecord[]): ModelRecord | null {
  return records.find((record) => namesOf(record).some((known) => sameName(known, name))) ?? null;
}

function namesOf(record: ModelRecord): string[] {
  return [record.id, record.repository, ...record.aliases];
}

function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function nearestIds(name: string, records: readonly ModelRecord[]): string[] {
  return records
    .map((record) => ({
      id: record.id,
      distance: Math.min(
        ...namesOf(record).map((known) => editDistance(known.toLowerCase(), name.toLowerCase())),
      ),
    }))
    .sort((a, b) => a.distance - b.distance || a.id.localeCompare(b.id))
    .slice(0, NEAREST_SHOWN)
    .map(({ id }) => id);
}

/** A name longer than this is no typing error of a known one; it is cut so that the distance stays cheap. */
const MAX_COMPARED_LENGTH = 100;

/** Levenshtein distance: insertions, deletions and replacements that turn one text into the other. */
function editDistance(a: string, b: string): number {
  const other = b.slice(0, MAX_COMPARED_LENGTH);
  let previous = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [row, letter] of a.split('').entries()) {
    const current = [row + 1];
    for (let column = 0; column < other.length; column += 1) {
      const replaced = (previous[column] ?? 0) + (letter === other[column] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column + 1] ?? 0) + 1, (current[column] ?? 0) + 1));
    }
    previous = current;
  }
  return previous.at(-1) ?? other.length;
}
