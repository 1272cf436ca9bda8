/** The face of `stats`: what the other rooms may use, by name. */
export { bootstrapInterval, medianInterval, pairedBootstrapInterval } from './bootstrap.ts';
export type { Interval } from './bootstrap.ts';
export { comparePairs } from './compare.ts';
export type { PairedComparison, PairedVerdict } from './compare.ts';
export { seededRandom } from './random.ts';
export { median, outliers, sortSamples, standardDeviation } from './samples.ts';
export type { SortedSamples } from './samples.ts';
