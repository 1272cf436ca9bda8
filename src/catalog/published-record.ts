import * as z from 'zod';
import { DATA_TYPES, citationSchema } from './architecture-record.ts';
import { PARTIAL_DATE, RECORD_ID } from './device-record.ts';

/** What a microbenchmark measures. Bandwidths and transfers are in bytes per second, `gemm` in FLOP per second. */
export const MEASURED_QUANTITIES = [
  'read-bandwidth',
  'write-bandwidth',
  'copy-bandwidth',
  'host-to-device',
  'device-to-host',
  'gemm',
] as const;
export type MeasuredQuantity = (typeof MEASURED_QUANTITIES)[number];

/** Faster than any device by a factor of a thousand; a larger number is a mistake in a data file. */
const MAX_RATE = 1e20;

const reading = z
  .strictObject({
    /** The id of the device that was measured. */
    device: z.string().regex(RECORD_ID),
    quantity: z.enum(MEASURED_QUANTITIES),
    dataType: z.enum(DATA_TYPES).optional(),
    /** The least and the most of the readings that one source made with one tool; for `gemm` the best shape of each. */
    low: z.number().positive().max(MAX_RATE),
    high: z.number().positive().max(MAX_RATE),
    readings: z.int().min(1),
    with: z.string().min(1),
    date: z.string().regex(PARTIAL_DATE).nullable(),
    source: citationSchema,
  })
  .refine((value) => value.low <= value.high, 'low is above high')
  .refine(
    (value) => (value.quantity === 'gemm') === (value.dataType !== undefined),
    'only gemm has a data type',
  );

/** `data/published/microbench.json`: what others measured on devices of the catalogue. */
export const microbenchFileSchema = z.strictObject({
  schemaVersion: z.literal(1),
  readings: z.array(reading).min(1),
});

const powerSeries = z.strictObject({
  device: z.string().regex(RECORD_ID),
  workload: z.string().min(1),
  unit: z.string().min(1),
  /** One workload at several power limits, the lowest first. */
  levels: z.array(z.strictObject({ watts: z.number().positive(), value: z.number().positive() })).min(3),
  source: citationSchema,
});

/** `data/published/power-levels.json`. */
export const powerLevelsFileSchema = z.strictObject({
  schemaVersion: z.literal(1),
  series: z.array(powerSeries).min(1),
});

export type PublishedReading = z.infer<typeof reading>;
export type PublishedPowerSeries = z.infer<typeof powerSeries>;
