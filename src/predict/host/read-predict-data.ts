import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { gunzipSync } from 'node:zlib';
import writeFileAtomic from 'write-file-atomic';
import { calibrationFileSchema, type Calibration } from '../calibration.ts';
import { decodeMeasurements, measurementFileSchema, type PublishedMeasurement } from '../measurement.ts';
import { parametersSchema, type Parameters } from '../parameters.ts';

const DATA_FOLDER = new URL('../../../data/', import.meta.url);
const PARAMETERS_FILE = new URL('predict/parameters.json', DATA_FOLDER);
const MEASUREMENTS_FILE = new URL('published/measurements.json.gz', DATA_FOLDER);

/** Reads `data/predict/parameters.json`. @throws ZodError when the file was changed by hand and is not valid. */
export function readParameters(): Parameters {
  return parametersSchema.parse(JSON.parse(readFileSync(PARAMETERS_FILE, 'utf8')));
}

/** Reads `data/published/measurements.json.gz`: all published measurements that the fit uses. */
export function readPublishedMeasurements(): PublishedMeasurement[] {
  const text = gunzipSync(readFileSync(MEASUREMENTS_FILE)).toString('utf8');
  return decodeMeasurements(measurementFileSchema.parse(JSON.parse(text)));
}

/** Reads what `calibrate` learned about this machine; nothing, when it has not been run. */
export function readCalibrations(path: string): Calibration[] {
  if (!existsSync(path)) return [];
  return calibrationFileSchema.parse(JSON.parse(readFileSync(path, 'utf8'))).calibrations;
}

/** Keeps a calibration in place of an older one of the same device and backend. */
export async function writeCalibration(path: string, calibration: Calibration): Promise<void> {
  const isOther = (each: Calibration): boolean =>
    each.deviceId !== calibration.deviceId || each.backend !== calibration.backend;
  const calibrations = [...readCalibrations(path).filter(isOther), calibration];
  await mkdir(dirname(path), { recursive: true });
  await writeFileAtomic(path, `${JSON.stringify({ schemaVersion: 1, calibrations }, null, 2)}\n`);
}
