/** The face of `measure`: the protocol, sweeps of points, the record of a measurement and its statistics. */
export { ceilingProducts, ceilingsOf } from './ceilings.ts';
export type { Ceilings } from './ceilings.ts';
export { planCheck } from './check-plan.ts';
export type { CheckPlan } from './check-plan.ts';
export { timeToFirstToken } from './first-token.ts';
export { LayerPlanError, planLayers } from './layer-plan.ts';
export type { LayerChoice, LayerLimits, LayerPlan } from './layer-plan.ts';
export type { Observer, Repetitions } from './protocol.ts';
export { RECORD_SCHEMA_VERSION, measurementRecordSchema } from './record.ts';
export type { MeasurementRecord, MeasurementRun } from './record.ts';
export { fullSamplesNanoseconds, summarise, summariseOrExplain } from './summary.ts';
export type { Estimate, Extrapolation, Range, Summary, SummaryOrReason } from './summary.ts';
export { runSweep } from './sweep.ts';
export type {
  ModelFile,
  OpenedModel,
  PointSettings,
  Sweep,
  SweepEvent,
  SweepHost,
  SweepModel,
  SweepPoint,
} from './sweep.ts';
export { sweepPoints } from './sweep-points.ts';
export type { SweepGrid } from './sweep-points.ts';
