import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
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
