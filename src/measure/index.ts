/** The face of `measure`: the record of a measurement and its statistics. */
export { RECORD_SCHEMA_VERSION, measurementRecordSchema } from './record.ts';
export type { MeasurementRecord, MeasurementRun } from './record.ts';
export { EXTRAPOLATION_ERROR, fullSamplesNanoseconds, summarise, summariseOrExplain } from './summary.ts';
export type { Estimate, Extrapolation, Range, Summary, SummaryOrReason } from './summary.ts';
