/**
 * What is known of one thing, with the place where it was read. Unknown carries its reason: it is never zero, never
 * an empty string, and never left out.
 */
export type Fact<T> =
  | { readonly known: true; readonly value: T; readonly source: string }
  | { readonly known: false; readonly reason: string; readonly source: string };

export function known<T>(value: T, source: string): Fact<T> {
  return { known: true, value, source };
}

export function unknown(
  reason: string,
  source: string,
): { readonly known: false; readonly reason: string; readonly source: string } {
  return { known: false, reason, source };
}

/** The value, or undefined when unknown: for code that has said what it does without it. */
export function valueOf<T>(fact: Fact<T>): T | undefined {
  return fact.known ? fact.value : undefined;
}

/** The source with the field that was looked at: `/proc/meminfo: MemTotal`. */
function field(source: string, name: string): string {
  return `${source}: ${name}`;
}

/**
 * Reads a value out of a known fact. `read` returns undefined where the text does not hold it; `missing` then is the
 * reason. An unknown fact stays unknown with its own reason.
 */
export function readFrom<T, U>(
  fact: Fact<T>,
  name: string,
  read: (value: T) => U | undefined,
  missing = `no ${name} there`,
): Fact<U> {
  const source = name === '' ? fact.source : field(fact.source, name);
  if (!fact.known) return unknown(fact.reason, source);
  const value = read(fact.value);
  return value === undefined ? unknown(missing, source) : known(value, source);
}

/** The first known of several ways to learn one thing; if none is, every reason is told. */
export function firstKnown<T>(first: Fact<T>, ...others: readonly Fact<T>[]): Fact<T> {
  const all = [first, ...others];
  const found = all.find((fact) => fact.known);
  if (found !== undefined) return found;
  const reasons = new Map<string, string>();
  for (const fact of all) if (!fact.known) reasons.set(fact.source, fact.reason);
  if (reasons.size === 1) return first;
  return unknown(
    [...reasons].map(([source, reason]) => `${source}: ${reason}`).join('; '),
    [...reasons.keys()].join(', '),
  );
}
