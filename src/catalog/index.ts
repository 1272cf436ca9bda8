/** The face of `catalog`: the records of models, devices and machines, their look-up by name, and what follows. */
export type { ArchitectureRecord, Citation, DataType, RateCondition } from './architecture-record.ts';
export { bandwidthOf, bandwidthsOf } from './bandwidth.ts';
export type { DerivedBandwidth, StatedBandwidth } from './bandwidth.ts';
export { CatalogNameError } from './name-error.ts';
export type { CatalogNameErrorCode } from './name-error.ts';
export { findDevice, findMachine, resolveDevice, resolveMachine } from './device-name.ts';
export type { DeviceHints, ResolvedDevice } from './device-name.ts';
export type { CatalogDevice } from './device-record.ts';
export { computesOnCores } from './computing-part.ts';
export type { MachineRecord } from './machine-record.ts';
export { namesOfRecord, resolveModelLabel } from './model-label.ts';
export type { ResolvedModelLabel } from './model-label.ts';
export type { ModelRecord, SourceRecord } from './model-record.ts';
export { hiddenBy, withOwnModels } from './own-models.ts';
export { resolveModelName } from './model-name.ts';
export type { ResolvedModelName } from './model-name.ts';
export { derivePeaks, peakOf, precisionSupport } from './peaks.ts';
export type { Accumulate, DerivedPeak, ExecutedOn, PrecisionSupport, StatedPeak } from './peaks.ts';
export type { MeasuredQuantity, PublishedPowerSeries, PublishedReading } from './published-record.ts';
export { referenceRange } from './reference-readings.ts';
export type { ReferenceRange } from './reference-readings.ts';
export { explainDevice } from './device-explanation.ts';
export type {
  BandwidthComparison,
  CitedSource,
  DeviceExplanation,
  PeakComparison,
} from './device-explanation.ts';
export { latestPrice } from './machine-price.ts';
export type { MachinePrice } from './machine-price.ts';
export { powerOfDevice, powerOfMachine } from './power.ts';
export type { PowerFigure, PowerKind } from './power.ts';
