import * as z from 'zod';
import { querySchema, type Query } from './query.ts';

/** A table by columns: the distinct values of each, and for every row which one it has. */
const column = z.strictObject({
  name: z.string(),
  values: z.array(z.union([z.string(), z.number(), z.boolean(), z.null()])),
  rows: z.array(z.int().min(0)),
});

/** `data/published/measurements.json.gz`: published measurements of llama.cpp, a source to every row. */
export const measurementFileSchema = z.strictObject({
  schemaVersion: z.literal(1),
  columns: z.array(column).min(1),
});
type MeasurementFile = z.infer<typeof measurementFileSchema>;

/** A published measurement: the query that it answers, the answer, and where it was read. */
export interface PublishedMeasurement {
  readonly query: Query;
  readonly tokensPerSecond: number;
  readonly source: { readonly repository: string; readonly path: string; readonly commit: string | null };
}

const row = querySchema.extend({
  tokensPerSecond: z.number().positive(),
  sourceRepository: z.string(),
  sourcePath: z.string(),
  sourceCommit: z.string().nullable(),
});
type Row = z.infer<typeof row>;

/** Rows to columns. */
export function encodeMeasurements(measurements: readonly PublishedMeasurement[]): MeasurementFile {
  const rows = measurements.map(({ query, tokensPerSecond, source }): Record<string, unknown> => ({
    ...query,
    localscoreAverage: query.localscoreAverage ?? false,
    tokensPerSecond,
    sourceRepository: source.repository,
    sourcePath: source.path,
    sourceCommit: source.commit,
  }));
  const names = Object.keys(row.shape);
  return {
    schemaVersion: 1,
    columns: names.map((name) => {
      const index = new Map<string | number | boolean | null, number>();
      const at = rows.map((each) => {
        const value = plain(each[name]);
        const known = index.get(value);
        if (known !== undefined) return known;
        index.set(value, index.size);
        return index.size - 1;
      });
      return { name, values: [...index.keys()], rows: at };
    }),
  };
}

function plain(value: unknown): string | number | boolean | null {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null;
}

/** Columns to rows. @throws ZodError when a row is no measurement. */
export function decodeMeasurements(file: MeasurementFile): PublishedMeasurement[] {
  const count = file.columns[0]?.rows.length ?? 0;
  return Array.from({ length: count }, (_, index) => {
    const entries = file.columns.map(({ name, values, rows }) => [name, values[rows[index] ?? -1] ?? null]);
    const parsed: Row = row.parse(Object.fromEntries(entries));
    const { tokensPerSecond, sourceRepository, sourcePath, sourceCommit, ...query } = parsed;
    return {
      query,
      tokensPerSecond,
      source: { repository: sourceRepository, path: sourcePath, commit: sourceCommit },
    };
  });
}
