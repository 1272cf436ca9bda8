import * as z from 'zod';
import { citationSchema } from './architecture-record.ts';
import { PARTIAL_DATE, RECORD_ID } from './device-record.ts';

const watts = z.number().positive().max(1e5);

const price = z.strictObject({
  usd: z.number().positive(),
  /** When it was seen; prices drift by tens of percent a year. */
  date: z.string().regex(PARTIAL_DATE).nullable(),
  kind: z.enum(['launch', 'street', 'used']),
  for: z.enum(['machine', 'mainboard', 'card', 'module']),
  approximate: z.literal(true).optional(),
  source: citationSchema,
});

const power = z.strictObject({
  /** Drawn by the whole machine while it ran a language model: the least and the most that was measured. */
  loadWatts: z.tuple([watts, watts]).optional(),
  /** What ran then. */
  loadOf: z.string().min(1).optional(),
  /** The most that the maker states for the whole machine. */
  maximumWatts: watts.optional(),
  /** What the maker lets the chip draw for long, and in bursts; memory, fans and losses come on top. */
  sustainedWatts: watts.optional(),
  boostWatts: watts.optional(),
  /** Board power of the graphics cards together; the rest of the machine comes on top. */
  gpuWatts: watts.optional(),
  /** Rating of the power supply: what a machine draws lies far below. */
  supplyWatts: watts.optional(),
  source: citationSchema,
});

const machineRecordSchema = z.strictObject({
  id: z.string().regex(RECORD_ID, 'an id has lower-case letters, digits, dots and dashes'),
  vendor: z.string().min(1),
  name: z.string().min(1),
  aliases: z.array(z.string().min(1)),
  form: z.string().min(1),
  /** The id of the device that runs the model. */
  device: z.string().regex(RECORD_ID),
  deviceCount: z.int().min(1).max(64),
  /** The memory that holds the model: of the GPUs together, or the one memory that all share. */
  memoryBytes: z
    .int()
    .min(1)
    .max(2 ** 43)
    .nullable(),
  prices: z.array(price),
  power: power.nullable(),
  network: z.array(z.string().min(1)),
  released: z.string().regex(PARTIAL_DATE).nullable(),
  sources: z.array(citationSchema.extend({ fields: z.array(z.string().min(1)).min(1) })),
});

/** A file of `data/machines`: computers that people buy. */
export const machineFileSchema = z.strictObject({
  schemaVersion: z.literal(1),
  machines: z.array(machineRecordSchema).min(1),
});

export type MachineRecord = z.infer<typeof machineRecordSchema>;
