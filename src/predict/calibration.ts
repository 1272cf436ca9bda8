import * as z from 'zod';
import { ownDeviceSchema } from './own-device.ts';

/** Twice the widest shift that a believable measurement can ask for. */
const MAX_SHIFT = 10;
const MOST_SHIFTS = 500;
const shifts = z
  .record(z.string().max(100), z.number().min(-MAX_SHIFT).max(MAX_SHIFT))
  .refine((all) => Object.keys(all).length <= MOST_SHIFTS, `more than ${MOST_SHIFTS} shifts`);

const calibrationSchema = z.strictObject({
  deviceId: z.string().min(1),
  /** As it was measured: a calibration of `vulkan-radv` says nothing about `rocm`. */
  backend: z.string().min(1),
  /** RFC 3339, UTC. */
  measuredAt: z.iso.datetime(),
  points: z.int().min(1),
  /** What was learned, by what it applies to (`calibrate`). */
  generation: shifts,
  prompt: shifts,
});

/** The file that `calibrate` writes. */
export const calibrationFileSchema = z.strictObject({
  schemaVersion: z.literal(2),
  calibrations: z.array(calibrationSchema),
  /** Devices of this machine that are in no catalogue. */
  devices: z.array(ownDeviceSchema).optional(),
});

/** What own measurements of a device with a backend taught. */
export type Calibration = z.infer<typeof calibrationSchema>;
export type CalibrationFile = z.infer<typeof calibrationFileSchema>;
