/** The face of `store`: what a log of records says. The file itself is behind `host/`. */
export { sweepProgress } from './sweep-progress.ts';
export type { SweepProgress } from './sweep-progress.ts';
