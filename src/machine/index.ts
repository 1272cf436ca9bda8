/** The face of `machine`: what the other rooms may use, by name. */
export { captureSchema } from './capture.ts';
export type { Capture } from './capture.ts';
export { known, unknown, valueOf } from './fact.ts';
export type { Fact } from './fact.ts';
export { machineFactsSchema } from './facts.ts';
export type { CpuFeature, EngineDevice, Gpu, MachineFacts, VulkanDevice } from './facts.ts';
export { identify } from './identify.ts';
export type { IdentifyOptions } from './identify.ts';
export { parseMachineFile } from './machine-file.ts';
export type { ParsedMachine } from './machine-file.ts';
export { canonicalState, stateDifferences, stateOf } from './state.ts';
export type { MachineState } from './state.ts';
export { recommendedThreads } from './threads.ts';
export type { ThreadRecommendation } from './threads.ts';
export { summarizeTelemetry, telemetrySchema } from './telemetry.ts';
export type { CpuTicks, Telemetry, TelemetryReading, TelemetrySource } from './telemetry.ts';
