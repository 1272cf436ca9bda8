/** The face of `store/host`: the log of results on the disk. */
export { openResultLog, RESULT_LOG_FILE, ResultLogError } from './result-log.ts';
export type { DamagedLine, ResultLog, ResultLogContents, ResultLogErrorCode } from './result-log.ts';
