import { z } from 'zod';
import { measurementRecordSchema, RECORD_SCHEMA_VERSION, type MeasurementRecord } from '../measure/index.ts';

/** What a line of the log turned out to be. */
export type ParsedLine =
  | { readonly record: MeasurementRecord; readonly reason: null }
  | { readonly record: null; readonly reason: string };

const versioned = z.object({ schemaVersion: z.number() });

const damaged = (reason: string): ParsedLine => ({ record: null, reason });

/** One record as one line, its newline included. */
export const encodeResultLine = (record: MeasurementRecord): string => `${JSON.stringify(record)}\n`;

/** Reads one line without its newline. A line that is no record gives the reason, as a clause. */
export function parseResultLine(line: string): ParsedLine {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return damaged('not whole JSON: most likely the write was cut off');
  }
  const version = versioned.safeParse(value);
  if (version.success && version.data.schemaVersion > RECORD_SCHEMA_VERSION) {
    return damaged(
      `written by a newer ridgepoint (schema version ${version.data.schemaVersion}; this one reads ${RECORD_SCHEMA_VERSION})`,
    );
  }
  const parsed = measurementRecordSchema.safeParse(value);
  if (parsed.success) return { record: parsed.data, reason: null };
  const issue = parsed.error.issues[0];
  const place = issue === undefined || issue.path.length === 0 ? 'the line' : issue.path.join('.');
  return damaged(`not a measurement record: ${place}: ${issue?.message ?? 'unreadable'}`);
}
