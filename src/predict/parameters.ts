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
  effects: z.strictObject({ generation: effects, prompt: effects }),
  intervals: z.array(intervalSchema),
});
export type Parameters = z.infer<typeof parametersSchema>;
export type Interval = z.infer<typeof intervalSchema>;

/** Seconds of every term: its time at the roof times its cost. */
export function termSeconds(metric: Metric, roofs: Float64Array, sums: Float64Array): Float64Array {
  return roofs.map((roof, term) =>
    roof > 0 ? roof * Math.exp(logCost(TERM_NAMES[metric][term] ?? '', sums[term] ?? 0)) : 0,
  );
}
