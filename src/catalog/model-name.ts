import type { ModelRecord } from './model-record.ts';
import { nearestNames } from './nearest-names.ts';

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
    const known = records.map((model) => ({ id: model.id, names: namesOf(model) }));
    const nearest = nearestNames(name, known).join(', ');
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
