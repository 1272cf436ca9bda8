/** The face of `machine`: what the other rooms may use, by name. */
export type { Capture } from './capture.ts';
export { matchCatalogue } from './catalogue-match.ts';
export type { CatalogueMatch, MatchEvidence } from './catalogue-match.ts';
export { valueOf } from './fact.ts';
export type { Fact } from './fact.ts';
export type { CpuFeature, EngineDevice, Gpu, MachineFacts, VulkanDevice } from './facts.ts';
export { identify } from './identify.ts';
export type { IdentifyOptions } from './identify.ts';
export { parseMachineFile } from './machine-file.ts';
export type { ParsedMachine } from './machine-file.ts';
export { stateDifferences, stateOf } from './state.ts';
export type { MachineState } from './state.ts';
export { recommendedThreads } from './threads.ts';
export type { ThreadRecommendation } from './threads.ts';
export { mergeTelemetry, telemetrySchema } from './telemetry.ts';
export type { CpuTicks, Telemetry, TelemetryReading, TelemetrySource } from './telemetry.ts';
