/** The face of `store/host`: the log of results on the disk. */
export { openRuns } from './open-runs.ts';
export type { OpenRuns } from './open-runs.ts';
export { openProbeLog, openResultLog } from './result-log.ts';
export type {
  DamagedLine,
  ProbeLog,
  ResultLog,
  ResultLogContents,
  ResultLogErrorCode,
} from './result-log.ts';
