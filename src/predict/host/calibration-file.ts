import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { calibrationFileSchema, type Calibration, type CalibrationFile } from '../calibration.ts';
import type { OwnDevice } from '../own-device.ts';

/** What `calibrate` keeps could not be read or written; the message is one sentence for the user. */
export class CalibrationFileError extends Error {
  override readonly name = 'CalibrationFileError';
}

const NOTHING: CalibrationFile = { schemaVersion: 2, calibrations: [] };

/** Reads what `calibrate` learned about this machine; nothing, when it has not been run. @throws CalibrationFileError */
export function readCalibrationFile(path: string): CalibrationFile {
  if (!existsSync(path)) return NOTHING;
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw damaged(path, cause);
  }
  const parsed = calibrationFileSchema.safeParse(content);
  if (!parsed.success) throw damaged(path, parsed.error);
  return parsed.data;
}

/**
 * Keeps a calibration in place of an older one of the same device and backend, and the device itself where it is one of
 * no catalogue. The file appears whole or stays as it was.
 * @throws CalibrationFileError
 */
export async function writeCalibration(
  path: string,
  calibration: Calibration,
  own: OwnDevice | null,
): Promise<void> {
  const before = readCalibrationFile(path);
  const calibrations = [
    ...before.calibrations.filter(
      ({ deviceId, backend }) => deviceId !== calibration.deviceId || backend !== calibration.backend,
    ),
    calibration,
  ];
  const others = (before.devices ?? []).filter(
    ({ id, backend }) => own === null || id !== own.id || backend !== own.backend,
  );
  const devices = own === null ? others : [...others, own];
  const file: CalibrationFile = {
    schemaVersion: 2,
    calibrations,
    ...(devices.length === 0 ? {} : { devices }),
  };
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFileAtomic(path, `${JSON.stringify(file, null, 2)}\n`);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    const why = code === 'ENOSPC' || code === 'EDQUOT' ? 'the disk is full' : code;
    throw new CalibrationFileError(
      `The calibration could not be written to ${path} (${why}); what was there before is unchanged, and the measurements are kept: make room for it and run ridgepoint calibrate --from-records.`,
      { cause },
    );
  }
}

function damaged(path: string, cause: unknown): CalibrationFileError {
  return new CalibrationFileError(
    `${path} is no calibration that this ridgepoint can read; remove it and run ridgepoint calibrate again.`,
    { cause },
  );
}
