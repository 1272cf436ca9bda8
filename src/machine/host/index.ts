/** The host face of `machine`: what touches this computer. */
export { gatherMachine } from './gather.ts';
export { hashState } from './state-hash.ts';
export { startTelemetry } from './telemetry.ts';
export type { TelemetryOptions, TelemetryWindow } from './telemetry.ts';
