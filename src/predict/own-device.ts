import * as z from 'zod';
import type { ModelRecord } from '../catalog/index.ts';
import { shapeOf, weightBytes, type MixName } from '../model/index.ts';
import { parseBackend } from './backend.ts';
import { configure, UNSTATED, type Configuration } from './configuration.ts';
import type { PredictedDevice } from './device.ts';
import { parseQuantisation } from './quantisation.ts';
import { weightTypesOf } from './weight-types.ts';
import { workOf } from './work.ts';

/** A hundred times what any device of the catalogue has; more is a damaged file. */
const MAX_RATE = 1e18;
const rate = z.number().positive().max(MAX_RATE);

/** Longer than any length of heads takes on any processor, in seconds for one row of the cache. */
const MAX_ROW_SECONDS = 1;
const rowSeconds = z.number().positive().max(MAX_ROW_SECONDS);

/** This machine's own device, where the catalogue has none: its roofs are what the engine reached on it. */
export const ownDeviceSchema = z.strictObject({
  id: z.string().min(1).max(200),
  /** As the machine calls it. */
  name: z.string().min(1).max(1000),
  /** The backend that it was measured with: another has other kernels. */
  backend: z.string().min(1).max(100),
  unit: z.enum(['cpu', 'gpu']),
  vendor: z.string().max(200),
  integrated: z.boolean(),
  memoryBytes: z.number().positive().nullable(),
  /** RFC 3339, UTC. */
  measuredAt: z.iso.datetime(),
  /** The fastest single products: nothing that the engine does is faster. */
  fastestBytesPerSecond: rate,
  fastestFlopPerSecond: rate,
  /** What products of the engine's own reach with weights of each type. */
  types: z
    .array(z.strictObject({ type: z.string().min(1).max(20), flopPerSecond: rate, bytesPerSecond: rate }))
    .min(1)
    .max(100),
  /** Of a processor: what attention to a token in the cache takes for each head of the cache. */
  attention: z
    .array(
      z.strictObject({
        headLength: z.int().min(1).max(10_000),
        // Measurements of before 2026-11-21 are all of 8.
        keyValueHeads: z.int().min(1).max(10_000).default(8),
        firstHeadSeconds: rowSeconds,
        furtherHeadSeconds: rowSeconds,
      }),
    )
    .max(100)
    .optional(),
});
export type OwnDevice = z.infer<typeof ownDeviceSchema>;

/** The id of a device that is in no catalogue: never one of the catalogue's, which begin with their vendor. */
export function ownDeviceId(name: string): string {
  const words = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  return `own-${words === '' ? 'device' : words}`;
}

const FLOATS: ReadonlySet<string> = new Set(['F32', 'F16', 'BF16']);

/** An own device as predictions see it. */
export function predictedOwnDevice(own: OwnDevice): PredictedDevice {
  const floats = own.types.filter(({ type }) => FLOATS.has(type)).map(({ flopPerSecond }) => flopPerSecond);
  const float = floats.length === 0 ? own.fastestFlopPerSecond : Math.max(...floats);
  const onCores = own.unit === 'cpu';
  return {
    id: own.id,
    count: 1,
    unit: own.unit,
    vendor: own.vendor.toLowerCase(),
    deviceClass: 'own',
    integrated: own.integrated,
    bandwidthBytesPerSecond: own.fastestBytesPerSecond,
    peaks: {
      fp32: onCores ? float : null,
      fp16: onCores ? null : float,
      int8: own.fastestFlopPerSecond,
    },
    measured: own.types,
    ...(onCores && own.attention !== undefined && own.attention.length > 0
      ? { measuredAttention: own.attention }
      : {}),
  };
}

/**
 * A model of the catalogue on an own device, each matrix at the rate of its own type; null where nothing is known of the
 * mix, or of the backend.
 */
export function configureOwn(
  own: OwnDevice,
  record: ModelRecord,
  mix: MixName,
  depth: number,
): Configuration | null {
  const quantisation = parseQuantisation(mix);
  const backend = parseBackend(own.backend, own.vendor, own.unit);
  if (quantisation === null || backend === null) return null;
  const shape = shapeOf(record);
  return configure({
    ...UNSTATED,
    device: predictedOwnDevice(own),
    backend,
    work: workOf(shape),
    quantisation,
    fileBytes: weightBytes(shape, mix),
    depth,
    types: weightTypesOf(shape, mix),
  });
}
