const NEAREST_SHOWN = 3;
/** A name longer than this is no typing error of a known one; it is cut so that the distance stays cheap. */
const MAX_COMPARED_LENGTH = 100;

/** With more than this share of its letters changed a name is another one, not a typing error. */
const LARGEST_CHANGED_SHARE = 0.4;

/** A text of so many letters that is a part of a name was perhaps meant as a search for it. */
const SHORTEST_PART = 4;

/**
 * A clause for an error message, `; the nearest ids are a, b`, nearest first; empty where nothing is near.
 * @param what - what the names are called, in the plural.
 */
export function nearestClause(
  text: string,
  entries: readonly { readonly id: string; readonly names: readonly string[] }[],
  what: string,
): string {
  const wanted = text.toLowerCase();
  const near = entries
    .map(({ id, names }) => ({
      id,
      distance: Math.min(...names.map((known) => editDistance(known.toLowerCase(), wanted))),
      isPart: wanted.length >= SHORTEST_PART && names.some((known) => known.toLowerCase().includes(wanted)),
    }))
    .filter(({ distance, isPart }) => isPart || distance <= wanted.length * LARGEST_CHANGED_SHARE)
    .sort((a, b) => a.distance - b.distance || a.id.localeCompare(b.id))
    .slice(0, NEAREST_SHOWN)
    .map(({ id }) => id);
  if (near.length === 0) return '';
  return near.length === 1
    ? `; the nearest of the ${what} is ${near.join('')}`
    : `; the nearest ${what} are ${near.join(', ')}`;
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
