/** The host face of `catalog`: the data files of the package. */
export { CatalogDataError, readModelRecords, readSources } from './read-models.ts';
