/** The host face of `catalog`: the data files of the package. */
export { readModelRecords, readSources } from './read-models.ts';
