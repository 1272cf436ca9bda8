/** The face of `predict`: speeds with intervals, what they are made of, calibration, and scaling by power. */
export {
  checkExtrapolation,
  exponentThrough,
  fitPowerLaw,
  performanceAt,
  powerLevels,
  powerReading,
  scaleByPower,
} from './power-law.ts';
export type {
  ExtrapolationCheck,
  LevelReading,
  PowerLaw,
  PowerLawResult,
  PowerPrediction,
  PowerReading,
  PowerTarget,
} from './power-law.ts';
export { parseBackend, usualFamily } from './backend.ts';
export type { Backend, BackendFamily } from './backend.ts';
export { calibrate } from './calibrate.ts';
export type { CalibrationPoint } from './calibrate.ts';
export type { Calibration, CalibrationFile } from './calibration.ts';
export { configureOwn, predictedOwnDevice, ownDeviceId } from './own-device.ts';
export type { OwnDevice } from './own-device.ts';
export { weightTypesOf } from './weight-types.ts';
export type { WeightTypes } from './weight-types.ts';
export { configure, UNSTATED, withoutPeak } from './configuration.ts';
export { hostOf, isPartial } from './offload.ts';
export type { Host } from './offload.ts';
export type { Configuration, ConfigurationInput } from './configuration.ts';
export { predictedDevice } from './device.ts';
export { roofsFor } from './terms.ts';
export type { PredictedDevice } from './device.ts';
export type { PublishedMeasurement } from './measurement.ts';
export type { Parameters } from './parameters.ts';
export { Predictor } from './predict.ts';
export type { BatchAnswer, BatchError } from './predict.ts';
export type { Basis, Estimate, PredictedTerm, PredictedTest, Prediction, Situation } from './situation.ts';
export { parseQuantisation } from './quantisation.ts';
export type { Quantisation } from './quantisation.ts';
export { QueryReader } from './query.ts';
export type { Query, QueryError, QueryErrorCode } from './query.ts';
export { predictTurn } from './turn.ts';
export type { PredictedTurn, SpeedInterval, Turn } from './turn.ts';
export { workOf } from './work.ts';
export type { ModelWork } from './work.ts';
