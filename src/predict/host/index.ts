/** The host face of `predict`: the data files of the package, and what `calibrate` keeps. */
export { readCalibrationFile, writeCalibration } from './calibration-file.ts';
export { readParameters, readPublishedMeasurements } from './read-predict-data.ts';
