/** The host face of `predict`: the data files of the package. */
export {
  readCalibrations,
  readParameters,
  readPublishedMeasurements,
  writeCalibration,
} from './read-predict-data.ts';
