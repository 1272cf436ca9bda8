import { z } from 'zod';

/** What a line of a log turned out to be. */
export type ParsedLine<Entry> =
  | { readonly record: Entry; readonly reason: null }
  | { readonly record: null; readonly reason: string };

const versioned = z.object({ schemaVersion: z.number() });

const damaged = (reason: string): ParsedLine<never> => ({ record: null, reason });

/** One record as one line, its newline included. */
export const encodeLine = (record: object): string => `${JSON.stringify(record)}\n`;

/**
 * Reads lines of one schema, without their newline. A line that is no record gives the reason, as a clause.
 * @param newest - the newest version of the schema that this ridgepoint knows.
 * @param name - what a record is called: `measurement`.
 */
export function lineParser<Entry>(
  schema: z.ZodType<Entry>,
  newest: number,
  name: string,
): (line: string) => ParsedLine<Entry> {
  return (line) => {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      return damaged('not whole JSON: most likely the write was cut off');
    }
    const version = versioned.safeParse(value);
    if (version.success && version.data.schemaVersion > newest) {
      return damaged(
        `written by a newer ridgepoint (schema version ${version.data.schemaVersion}; this one reads ${newest})`,
      );
    }
    const parsed = schema.safeParse(value);
    if (parsed.success) return { record: parsed.data, reason: null };
    const issue = parsed.error.issues[0];
    const place = issue === undefined || issue.path.length === 0 ? 'the line' : issue.path.join('.');
    return damaged(`not a ${name} record: ${place}: ${issue?.message ?? 'unreadable'}`);
  };
}
