import * as z from 'zod';
import { logCost } from './cost.ts';
import { TERM_NAMES, type Metric } from './effects.ts';

/** Effects by group of terms, then by aspect, then by scope: what `effectKeys` names. */
const effects = z.record(z.string(), z.record(z.string(), z.record(z.string(), z.number().min(-20).max(20))));

const intervalSchema = z.strictObject({
  /** `tg d0`, `tg d>0`, `pp d0`, `pp d>0`. */
  cell: z.string().min(1),
  engine: z.enum(['llama.cpp', 'ik_llama.cpp', 'localscore']),
  novelty: z.enum(['known', 'new-model', 'new-device', 'calibrated']),
  /** Half widths of the central intervals, as quantiles of |log(measured / predicted)|. */
  q80: z.number().positive(),
  q90: z.number().positive(),
  rows: z.int().min(1),
});

/** More days than llama.cpp has existed, or will. */
const MAX_DAYS = 1e5;
const drift = z.number().min(0).max(10);
const ageSchema = z.strictObject({
  cell: z.string().min(1),
  /** For builds that lie at least so many days before or after all that the fit has seen of their kind. */
  fromDays: z.int().min(1).max(MAX_DAYS),
  /**
   * What is added, as a variance, to the half width on the side on which progress lies (older builds are slower, newer
   * ones faster), and to the other, in log units.
   */
  onward80: drift,
  back80: drift,
  onward90: drift,
  back90: drift,
  rows: z.int().min(1),
});

/** `data/predict/parameters.json`: what the fit learned, and from what. */
export const parametersSchema = z.strictObject({
  schemaVersion: z.literal(1),
  provenance: z.strictObject({
    generator: z.string().min(1),
    measurements: z.int().min(1),
    devices: z.int().min(1),
    models: z.int().min(1),
    lastMeasurement: z.string().min(1),
  }),
  /** Devices with backend family, and models, that were in the fit: what is not is new. */
  knownDevices: z.array(z.string()),
  knownModels: z.array(z.string()),
  /** First and last day since 1970 of the builds that were in the fit, by device, backend and kernels. */
  seenDays: z.record(z.string(), z.tuple([z.int(), z.int()])),
  effects: z.strictObject({ generation: effects, prompt: effects }),
  intervals: z.array(intervalSchema),
  ages: z.array(ageSchema),
});
export type Parameters = z.infer<typeof parametersSchema>;
export type Age = z.infer<typeof ageSchema>;
export type Interval = z.infer<typeof intervalSchema>;

/** Seconds of every term: its time at the roof times its cost. */
export function termSeconds(metric: Metric, roofs: Float64Array, sums: Float64Array): Float64Array {
  return roofs.map((roof, term) =>
    roof > 0 ? roof * Math.exp(logCost(TERM_NAMES[metric][term] ?? '', sums[term] ?? 0)) : 0,
  );
}
