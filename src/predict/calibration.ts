import * as z from 'zod';
import { ownDeviceSchema } from './own-device.ts';

/** Twice the widest shift that a believable measurement can ask for. */
const MAX_SHIFT = 10;
const shifts = z.array(z.number().min(-MAX_SHIFT).max(MAX_SHIFT)).max(32);

const calibrationSchema = z.strictObject({
  deviceId: z.string().min(1),
  /** As it was measured: a calibration of `vulkan-radv` says nothing about `rocm`. */
  backend: z.string().min(1),
  /** RFC 3339, UTC. */
  measuredAt: z.iso.datetime(),
  points: z.int().min(1),
  /** Shifts of the terms, in the order of `TERM_NAMES`. */
  generation: shifts,
  prompt: shifts,
});

/** The file that `calibrate` writes. */
export const calibrationFileSchema = z.strictObject({
  schemaVersion: z.literal(1),
  calibrations: z.array(calibrationSchema),
  /** Devices of this machine that are in no catalogue. */
  devices: z.array(ownDeviceSchema).optional(),
});

/** What own measurements of a device with a backend taught. */
export type Calibration = z.infer<typeof calibrationSchema>;
export type CalibrationFile = z.infer<typeof calibrationFileSchema>;
