/** The host face of `catalog`: the data files of the package, and the models that a user added. */
export { readDeviceRecords, readMachineRecords } from './read-devices.ts';
export { CatalogDataError } from './data-files.ts';
export { readOwnModels, removeOwnModel, writeOwnModel } from './own-models.ts';
export { readPublishedPowerLevels, readPublishedReadings } from './read-published.ts';
export { readModelRecords, readSources } from './read-models.ts';
export { findDeviceRecord, readMachineRecordsNaming, readModelRecordsNaming } from './read-named.ts';
