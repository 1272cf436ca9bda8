/** The face of `store/host`: the log of results on the disk. */
export { openResultLog } from './result-log.ts';
export type { DamagedLine, ResultLog, ResultLogContents, ResultLogErrorCode } from './result-log.ts';
