import * as z from 'zod';

const cell = z.object({
  cell: z.string(),
  rows: z.number(),
  medianPercent: z.number(),
  p90Percent: z.number(),
  coveragePercent: z.number().nullable(),
  width: z.number().nullable(),
  devices: z.number(),
  macroMedianPercent: z.number().nullable(),
  macroP90Percent: z.number().nullable(),
  macroCoveragePercent: z.number().nullable(),
});
const regime = z.record(z.string(), z.array(cell));

/** `data/predict/ledger.json`: the errors of every regime, as they were when the parameters were made. */
export const ledgerSchema = z.object({
  schemaVersion: z.literal(1),
  answered: z.number(),
  unanswered: z.number(),
  regimes: z.record(z.string(), regime),
});
export type Ledger = z.infer<typeof ledgerSchema>;

/** The regimes that are held against the ledger, and how much a macro median may grow. */
const HELD_REGIMES = ['in-sample', 'a', 'b', 'c'] as const;
const MOST_GROWTH = 1.1;

/** Cells whose macro median error grew by more than a tenth. */
export function slipsOf(before: Pick<Ledger, 'regimes'>, after: Ledger['regimes']): string[] {
  return HELD_REGIMES.flatMap((name) =>
    (before.regimes[name]?.['llama.cpp'] ?? []).flatMap((old) => {
      const now = after[name]?.['llama.cpp']?.find(({ cell }) => cell === old.cell);
      const was = old.macroMedianPercent ?? Number.NaN;
      const is = now?.macroMedianPercent ?? Number.POSITIVE_INFINITY;
      return is > was * MOST_GROWTH
        ? [`${name}, ${old.cell}: ${was.toFixed(1)} % to ${is.toFixed(1)} %`]
        : [];
    }),
  );
}
