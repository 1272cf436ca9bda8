import * as z from 'zod';
import { DATA_TYPES, citationSchema, type ArchitectureRecord } from './architecture-record.ts';

/** More memory than any device of the catalogue by a factor of ten; a larger number is a mistake in a data file. */
const MAX_MEMORY_BYTES = 2 ** 43;
const MAX_BUS_BITS = 2 ** 16;
const MAX_UNITS = 2 ** 14;
/** 10 GHz: no chip is clocked higher. */
const MAX_CLOCK_HZ = 1e10;

export const RECORD_ID = /^[a-z0-9][a-z0-9.-]*$/;
/** A date as far as it is known: a year, a month or a day. */
export const PARTIAL_DATE = /^\d{4}(-\d\d){0,2}$/;

const capacity = z.int().min(1).max(MAX_MEMORY_BYTES);
const dataRate = z.number().positive().max(1e5);
const clock = z.number().positive().max(MAX_CLOCK_HZ).nullable();
const sourceId = z.string().min(1);
/** Why a stated figure lies more than 2 % from the derived one; absent, where it does not. */
const differs = z.string().min(1).optional();

const memory = z.strictObject({
  /** The capacities that it is sold with; empty where modules decide. */
  capacityBytes: z.array(capacity),
  type: z.string().min(1).nullable(),
  busBits: z.int().min(1).max(MAX_BUS_BITS).nullable(),
  /** The width was computed back from a published bandwidth and proves nothing about it. */
  busWidthImplied: z.literal(true).optional(),
  dataRateMegatransfersPerSecond: dataRate.nullable(),
  /** What can be fitted, where that decides the bandwidth. */
  modules: z
    .array(z.strictObject({ type: z.string().min(1), dataRateMegatransfersPerSecond: dataRate }))
    .min(1)
    .optional(),
  stated: z.array(
    z.strictObject({ bandwidthBytesPerSecond: z.number().positive(), source: sourceId, differs }),
  ),
});

const statedPeak = z.strictObject({
  dataType: z.enum(DATA_TYPES),
  accumulate: z.enum(['fp32', 'fp16', 'int32']),
  on: z.enum(['vector', 'matrix']),
  flopPerSecond: z.number().positive(),
  source: sourceId,
  differs,
});

/** Figures that sources give differently from the one that the record uses. */
const otherClaim = z.strictObject({
  about: z.enum([
    'clockHz',
    'tdpWatts',
    'capacityBytes',
    'units',
    'busBits',
    'dataRateMegatransfersPerSecond',
  ]),
  value: z.number().positive(),
  source: sourceId,
  remark: z.string().min(1),
});

const sharedMemory = z.strictObject({
  /** What the driver reports as usable by the GPU. */
  gpuVisibleBytes: capacity.optional(),
  largestGpuShare: z
    .array(z.strictObject({ system: z.enum(['windows', 'linux', 'any']), bytes: capacity }))
    .optional(),
  /** The share that the GPU may use by default, by the memory that is fitted; the last holds above all others. */
  defaultGpuShare: z
    .array(z.strictObject({ upToBytes: capacity.nullable(), fraction: z.number().positive().max(1) }))
    .optional(),
});

const deviceRecordSchema = z.strictObject({
  id: z.string().regex(RECORD_ID, 'an id has lower-case letters, digits, dots and dashes'),
  vendor: z.string().min(1),
  name: z.string().min(1),
  /** Other names; a name that several devices share means the first of them in the catalogue. */
  aliases: z.array(z.string().min(1)),
  kind: z.enum(['discrete-gpu', 'integrated-gpu', 'apple-soc', 'soc', 'cpu']),
  /** The id of its architecture in `data/architectures.json`. */
  architecture: z.string().regex(RECORD_ID),
  /** What compilers call it: `sm_89`, `gfx1151`, `Apple9`. */
  target: z.string().min(1).nullable(),
  chip: z.string().min(1).nullable(),
  /** The processor cores beside the GPU, where they are one chip. */
  cpu: z.string().min(1).nullable(),
  released: z.string().regex(PARTIAL_DATE).nullable(),
  launchPriceUsd: z.number().positive().nullable(),
  memory,
  units: z.strictObject({ kind: z.string().min(1), count: z.int().min(1).max(MAX_UNITS).nullable() }),
  /** The highest clock that the vendor states for the ordinary units, and for the matrix unit where it differs. */
  clockHz: clock,
  matrixClockHz: clock,
  /** The clock was computed back from a published peak, which it can therefore not confirm. */
  clockImplied: z.literal(true).optional(),
  statedPeaks: z.array(statedPeak),
  tdpWatts: z.number().positive().nullable(),
  /** The range in which the maker of a machine may set the power of the chip. */
  configurableTdpWatts: z.tuple([z.number().positive(), z.number().positive()]).optional(),
  pcie: z.string().min(1).nullable(),
  /** Null: memory of its own. */
  sharedMemory: sharedMemory.nullable(),
  otherClaims: z.array(otherClaim),
  remarks: z.array(z.string().min(1)),
  sources: z.array(citationSchema.extend({ fields: z.array(z.string().min(1)).min(1) })).min(1),
});

/** A file of `data/devices`. */
export const deviceFileSchema = z.strictObject({
  schemaVersion: z.literal(1),
  devices: z.array(deviceRecordSchema).min(1),
});

export type DeviceRecord = z.infer<typeof deviceRecordSchema>;

/** A device of the catalogue with what its architecture does in a clock. */
export interface CatalogDevice extends Omit<DeviceRecord, 'architecture'> {
  readonly architecture: ArchitectureRecord;
}
