/** The face of `measure`: the protocol, sweeps of points, the record of a measurement and its statistics. */
export { attentionRates, attentionTests } from './attention-rates.ts';
export type { AttentionRate, TimedAttention } from './attention-rates.ts';
export { ceilingProducts, ceilingsOf, MIX_TYPES, ratesByType } from './ceilings.ts';
export type { Ceilings, Product, RatesByType, TimedRound, TypeRates } from './ceilings.ts';
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
export { sweepPoints, usualSettings } from './sweep-points.ts';
export { besideReference, sampledRates, typeSamples, withSampledRates } from './type-samples.ts';
export type { SampleBeside, SampleRound, TimedSample, TypeSample } from './type-samples.ts';
export type { SweepGrid } from './sweep-points.ts';
export {
  bandwidthCurves,
  bandwidthLevels,
  planBandwidth,
  probeBandwidth,
  streamRate,
} from './probe/bandwidth.ts';
export type {
  BandwidthCurve,
  BandwidthLevel,
  BandwidthPlan,
  CacheLevel,
  ProbedRate,
} from './probe/bandwidth.ts';
export { defaultSpace, FIRST_SHAPE, GEMM_TYPES, gemmRate, probeGemm, spaceFor } from './probe/gemm.ts';
export type { GemmPlan, TimeProduct } from './probe/gemm.ts';
export { gemmResults } from './probe/gemm-result.ts';
export type { GemmResult } from './probe/gemm-result.ts';
export { subjectLabel, take } from './probe/host.ts';
export type { ProbeHost } from './probe/host.ts';
export { PROBE_PARTS, PROBE_SCHEMA_VERSION, probeProgress, probeRecordSchema } from './probe/record.ts';
export type { ProbePart, ProbeReading, ProbeRecord } from './probe/record.ts';
export { attainable, roofline } from './probe/roofline.ts';
export type { MeasuredSpeed, Roofline } from './probe/roofline.ts';
export { budgetFor, searchAdaptively, searchExhaustively } from './probe/search.ts';
export {
  axisValues,
  MAX_AXIS_VALUES,
  operationsOf,
  shapeLabel,
  shapesOf,
  spaceSize,
} from './probe/shape-space.ts';
export type { AxisRange, Shape, ShapeSpace } from './probe/shape-space.ts';
export { planTransfer, probeTransfer, transferCurves } from './probe/transfer.ts';
export type { TransferCurve } from './probe/transfer.ts';
export { measuredSpeeds } from './probe/speeds.ts';
export type { ModelWork } from './probe/speeds.ts';
