/** Names of columns for things whose own names are too long for one: A to Z, then AA, AB and so on. */
export function letterOf(index: number): string {
  const before = Math.floor(index / LETTERS) - 1;
  return `${before < 0 ? '' : letterOf(before)}${String.fromCodePoint(FIRST_LETTER + (index % LETTERS))}`;
}

const LETTERS = 26;
const FIRST_LETTER = 'A'.codePointAt(0) ?? 65;

/** `A  NVIDIA DGX Spark, cuda`: what each letter stands for. */
export function letterLegend(names: readonly string[]): string[] {
  return names.map((name, index) => `${letterOf(index)}  ${name}`);
}
