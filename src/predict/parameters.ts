import * as z from 'zod';
import type { Configuration } from './configuration.ts';
import { logCost, startingPoints } from './cost.ts';
import { TERM_NAMES, visitEffects, type Metric } from './effects.ts';

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
type Effects = Parameters['effects'][Metric];

const STARTS: Readonly<Record<Metric, Float64Array>> = {
  generation: startingPoints('generation', TERM_NAMES.generation),
  prompt: startingPoints('prompt', TERM_NAMES.prompt),
};

/** The logarithm of the cost of every term, from the effects; what a configuration shares with others is kept. */
export class CostTable {
  readonly #effects: Parameters['effects'];
  readonly #kept = new Map<string, Float64Array>();

  constructor(parameters: Pick<Parameters, 'effects'>) {
    this.#effects = parameters.effects;
  }

  /** Sums of effects, term by term, before the roof bounds them. */
  sums(configuration: Configuration, metric: Metric, tokens: number): Float64Array {
    const { device, backend, engine, day, work, quantisation, flashAttention, ubatch } = configuration;
    const kind = `${work.latent ? 'l' : ''}${work.recurrent ? 'r' : ''}`;
    const key = `${metric} ${device.id} ${device.bandwidthBytesPerSecond} ${backend.exact} ${engine} ${day} ${work.architecture} ${kind} ${quantisation.group} ${flashAttention} ${Math.min(ubatch, tokens)}`;
    const known = this.#kept.get(key);
    if (known !== undefined) return known;
    const made = sumEffects(this.#effects[metric], configuration, metric, tokens);
    if (this.#kept.size >= MOST_KEPT) this.#kept.clear();
    this.#kept.set(key, made);
    return made;
  }
}

/** Configurations whose costs are kept: more than the catalogue has, and bounded. */
const MOST_KEPT = 100_000;

function sumEffects(
  effects: Effects,
  configuration: Configuration,
  metric: Metric,
  tokens: number,
): Float64Array {
  const sums = STARTS[metric].slice();
  visitEffects(configuration, metric, tokens, (term, group, aspect, levels, scopes) => {
    const byScope = effects[group]?.[aspect];
    if (byScope === undefined) return;
    let sum = sums[term] ?? 0;
    for (const [level] of levels) sum += byScope[scopes[level]] ?? 0;
    sums[term] = sum;
  });
  return sums;
}

/** Seconds of every term: its time at the roof times its cost. */
export function termSeconds(metric: Metric, roofs: Float64Array, sums: Float64Array): Float64Array {
  return roofs.map((roof, term) =>
    roof > 0 ? roof * Math.exp(logCost(TERM_NAMES[metric][term] ?? '', sums[term] ?? 0)) : 0,
  );
}
