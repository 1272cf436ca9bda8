import type { CatalogueMatch, Fact, MachineFacts } from '../machine/index.ts';
import { bytes, formatBytes, formatSignificant } from '../units/index.ts';

/** A fact as a person reads it. */
export interface FactRow {
  readonly name: string;
  /** The value with its unit; null when it is unknown. */
  readonly text: string | null;
  /** Where it was read, or why it is unknown. */
  readonly from: string;
}

/** Every fact of a machine, in the order of its document. */
export function factRows(facts: MachineFacts): FactRow[] {
  return rowsOf('', facts);
}

/** The entries of the catalogue that describe the parts of a machine, with what speaks for and against each. */
export function matchRows(matches: readonly CatalogueMatch[]): FactRow[] {
  return matches.flatMap(({ part, seen, device, chosenBy, others, evidence }): FactRow[] => {
    const name = `catalogue: ${part}`;
    if (device === null) {
      return [{ name, text: null, from: `no entry is called '${seen}'; --device names one` }];
    }
    const also = others.length === 0 ? '' : `; the name also fits ${others.map(({ id }) => id).join(', ')}`;
    const from = chosenBy === 'override' ? 'as you named it' : `matched by the evidence below${also}`;
    return [
      { name, text: device.id, from },
      ...evidence.map(({ text, source, agrees }) => ({
        name: agrees ? `${name}: agrees` : `${name}: disagrees`,
        text,
        from: source,
      })),
    ];
  });
}

function rowsOf(name: string, value: unknown): FactRow[] {
  if (isFact(value)) return rowsOfFact(name, value);
  if (Array.isArray(value)) return value.flatMap((item, index) => rowsOf(`${name} ${index}`.trim(), item));
  if (!isRecord(value)) {
    return name === '' || name === 'kind' || name === 'schema version'
      ? []
      : [{ name, text: textOf(name, value), from: '' }];
  }
  return Object.entries(value).flatMap(([key, item]) => {
    // The names of environment variables are not ours to reword.
    const word = name === 'environment' ? key : inWords(key);
    return rowsOf(name === '' ? word : `${name}: ${word}`, item);
  });
}

function rowsOfFact(name: string, fact: Fact<unknown>): FactRow[] {
  if (!fact.known) return [{ name: withoutUnit(name), text: null, from: fact.reason }];
  const { value, source } = fact;
  // A list of things that have facts of their own, such as GPUs.
  if (Array.isArray(value) && value.some(isRecord)) return rowsOf(name, value);
  return [{ name: withoutUnit(name), text: textOf(name, value), from: source }];
}

/** Units are the endings of the keys, so that a value is never shown without one. */
const UNITS: readonly { readonly ending: RegExp; readonly format: (value: number) => string }[] = [
  { ending: / bytes$/, format: (value) => formatBytes(bytes(value)) },
  { ending: / hertz$/, format: (value) => `${formatSignificant(value / 1e9)} GHz` },
  { ending: / watts$/, format: (value) => `${formatSignificant(value)} W` },
  { ending: / transfers per second$/, format: (value) => `${formatSignificant(value / 1e6, 4)} MT/s` },
];

function textOf(name: string, value: unknown): string {
  if (typeof value === 'number') {
    return UNITS.find(({ ending }) => ending.test(name))?.format(value) ?? String(value);
  }
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(' ');
  if (isRecord(value)) {
    return Object.entries(value)
      .map(([key, item]) => `${key}=${String(item)}`)
      .join(' ');
  }
  return String(value);
}

function withoutUnit(name: string): string {
  const unit = UNITS.find(({ ending }) => ending.test(name));
  // Transfers are what is counted, not only the unit.
  return unit === undefined ? name : name.replace(/ (?:bytes|hertz|watts)$/, '');
}

/** `memoryTotalBytes` is `memory total bytes`. */
function inWords(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isFact(value: unknown): value is Fact<unknown> {
  return isRecord(value) && typeof value['known'] === 'boolean' && typeof value['source'] === 'string';
}
