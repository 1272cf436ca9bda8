import { readFileSync, readdirSync } from 'node:fs';
import { findDevice, type ResolvedDevice } from '../device-name.ts';
import type { MachineRecord } from '../machine-record.ts';
import type { ModelRecord } from '../model-record.ts';
import { DATA_FOLDER, type FolderChoice } from './data-files.ts';
import { readDeviceRecords, readMachineRecords } from './read-devices.ts';
import { readModelRecords } from './read-models.ts';

/**
 * The records in which a name stands, or where it stands nowhere all records: enough to resolve the name, and to say
 * which are near it.
 */
export function readModelRecordsNaming(name: string): ModelRecord[] {
  const folder = new URL('models/', DATA_FOLDER);
  return readModelRecords(folder, recordsNaming(folder, 'models', name));
}

/** Likewise for machines. */
export function readMachineRecordsNaming(name: string): MachineRecord[] {
  const folder = new URL('machines/', DATA_FOLDER);
  return readMachineRecords(folder, recordsNaming(folder, 'machines', name));
}

/**
 * A device by any of its names; null: none. By its id, which is how most people name it, it is a single record;
 * another name may mean several, of which the catalogue as a whole decides.
 */
export function findDeviceRecord(name: string): ResolvedDevice | null {
  const folder = new URL('devices/', DATA_FOLDER);
  const id = name.trim().toLowerCase();
  const naming = readDeviceRecords(folder, recordsNaming(folder, 'devices', id));
  const device = naming.find((each) => each.id === id);
  return device === undefined
    ? findDevice(name, readDeviceRecords(folder))
    : { device, count: 1, others: [] };
}

/** The records in which the name is a whole string, in any case; undefined: none. */
function recordsNaming(folder: URL, list: string, name: string): FolderChoice | undefined {
  const wanted = JSON.stringify(name.trim()).toLowerCase();
  const names = (text: string): boolean => text.toLowerCase().includes(wanted);
  const files = readdirSync(folder).filter(
    (file) => file.endsWith('.json') && names(readFileSync(new URL(file, folder), 'utf8')),
  );
  if (files.length === 0) return undefined;
  return { files: new Set(files), list, isChosen: (record) => names(JSON.stringify(record)) };
}
