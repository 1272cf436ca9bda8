/** Highest number of a CPU that is taken from a list; Linux is built for at most 8192. */
const MAX_CPU = 8192;

/** Parses a kernel list such as `0-3,8,10-11`. Undefined when it is not one. */
export function parseCpuList(list: string): number[] | undefined {
  const numbers: number[] = [];
  const trimmed = list.trim();
  if (trimmed === '') return numbers;
  for (const part of trimmed.split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    if (match?.[1] === undefined) return undefined;
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    if (last < first || last > MAX_CPU) return undefined;
    for (let cpu = first; cpu <= last; cpu += 1) numbers.push(cpu);
  }
  return numbers;
}

/** `name<separator>value` lines as a map; the first of several equal names is kept. */
export function parsePairs(text: string, separator: string): Map<string, string> {
  const pairs = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const at = line.indexOf(separator);
    if (at <= 0) continue;
    const name = line.slice(0, at).trim();
    if (!pairs.has(name)) pairs.set(name, line.slice(at + separator.length).trim());
  }
  return pairs;
}

/** A whole number in decimal notation; undefined for anything else, also for an empty text. */
export function parseCount(text: string): number | undefined {
  const trimmed = text.trim();
  return /^\d{1,20}$/.test(trimmed) ? Number(trimmed) : undefined;
}

/** A decimal number; undefined for anything else, such as `[N/A]`. */
export function parseDecimal(text: string): number | undefined {
  const trimmed = text.trim();
  return /^-?\d+(?:\.\d+)?$/.test(trimmed) ? Number(trimmed) : undefined;
}
