import {
  microbenchFileSchema,
  powerLevelsFileSchema,
  type PublishedPowerSeries,
  type PublishedReading,
} from '../published-record.ts';
import { DATA_FOLDER, readDataFile } from './data-files.ts';

/** Reads `data/published/microbench.json`: what others measured on devices of the catalogue. */
export function readPublishedReadings(): PublishedReading[] {
  return readDataFile(new URL('published/microbench.json', DATA_FOLDER), microbenchFileSchema).readings;
}

/** Reads `data/published/power-levels.json`: workloads at several power limits. */
export function readPublishedPowerLevels(): PublishedPowerSeries[] {
  return readDataFile(new URL('published/power-levels.json', DATA_FOLDER), powerLevelsFileSchema).series;
}
