import { readFileSync, readdirSync } from 'node:fs';
import type { MachineRecord } from '../machine-record.ts';
import type { CatalogDevice } from '../device-record.ts';
import type { ModelRecord } from '../model-record.ts';
import { DATA_FOLDER } from './data-files.ts';
import { readDeviceRecords, readMachineRecords } from './read-devices.ts';
import { readModelRecords } from './read-models.ts';

/**
 * The records of the files in which a name stands, or where it stands nowhere all records: enough to resolve the name,
 * and to say which are near it. Checking one file instead of the whole catalogue is what makes an answer quick.
 */
export function readModelRecordsNaming(name: string): ModelRecord[] {
  const folder = new URL('models/', DATA_FOLDER);
  return readModelRecords(folder, filesNaming(folder, name));
}

/** Likewise for machines. */
export function readMachineRecordsNaming(name: string): MachineRecord[] {
  const folder = new URL('machines/', DATA_FOLDER);
  return readMachineRecords(folder, filesNaming(folder, name));
}

/** Likewise for devices. */
export function readDeviceRecordsNaming(name: string): CatalogDevice[] {
  const folder = new URL('devices/', DATA_FOLDER);
  return readDeviceRecords(folder, undefined, filesNaming(folder, name));
}

/** The files in which the name is a whole string, in any case; undefined: none. */
function filesNaming(folder: URL, name: string): ReadonlySet<string> | undefined {
  const wanted = JSON.stringify(name.trim()).toLowerCase();
  const files = readdirSync(folder).filter(
    (file) =>
      file.endsWith('.json') && readFileSync(new URL(file, folder), 'utf8').toLowerCase().includes(wanted),
  );
  return files.length === 0 ? undefined : new Set(files);
}
