/** The host face of `catalog`: the data files of the package. */
export { readDeviceRecords, readMachineRecords } from './read-devices.ts';
export { readPublishedPowerLevels, readPublishedReadings } from './read-published.ts';
export { readModelRecords, readSources } from './read-models.ts';
export { readDeviceRecordsNaming, readMachineRecordsNaming, readModelRecordsNaming } from './read-named.ts';
