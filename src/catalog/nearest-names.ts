const NEAREST_SHOWN = 3;
/** A name longer than this is no typing error of a known one; it is cut so that the distance stays cheap. */
const MAX_COMPARED_LENGTH = 100;

/** The ids whose names are fewest edits away from what was typed, nearest first. */
export function nearestNames(
  text: string,
  entries: readonly { readonly id: string; readonly names: readonly string[] }[],
): string[] {
  const wanted = text.toLowerCase();
  return entries
    .map(({ id, names }) => ({
      id,
      distance: Math.min(...names.map((known) => editDistance(known.toLowerCase(), wanted))),
    }))
    .sort((a, b) => a.distance - b.distance || a.id.localeCompare(b.id))
    .slice(0, NEAREST_SHOWN)
    .map(({ id }) => id);
}

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
