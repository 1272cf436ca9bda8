import { architecturesFileSchema, type ArchitectureRecord } from '../architecture-record.ts';
import { deviceFileSchema, type CatalogDevice } from '../device-record.ts';
import { machineFileSchema, type MachineRecord } from '../machine-record.ts';
import {
  CatalogDataError,
  DATA_FOLDER,
  readDataFile,
  readDataFolder,
  type FolderChoice,
} from './data-files.ts';

/** Reads those architectures of `data/architectures.json` that have one of the ids. */
function readArchitectures(ids: ReadonlySet<unknown>): ArchitectureRecord[] {
  return readDataFile(new URL('architectures.json', DATA_FOLDER), architecturesFileSchema, {
    list: 'architectures',
    isChosen: (record) => typeof record === 'object' && record !== null && ids.has(Reflect.get(record, 'id')),
  }).architectures;
}

/**
 * Reads every file of `data/devices` and joins each device to its architecture.
 * @param choice - what to read; absent: all.
 * @throws CatalogDataError when a file is not valid, an id occurs twice or an architecture is missing.
 */
export function readDeviceRecords(
  folder: URL = new URL('devices/', DATA_FOLDER),
  choice?: FolderChoice,
): CatalogDevice[] {
  const records = readDataFolder(folder, deviceFileSchema, choice).flatMap((file) => file.devices);
  refuseDuplicates(records, 'data/devices');
  const architectures = readArchitectures(new Set(records.map(({ architecture }) => architecture)));
  const byId = new Map(architectures.map((architecture) => [architecture.id, architecture]));
  return records.map((record) => {
    const architecture = byId.get(record.architecture);
    if (architecture === undefined) {
      throw new CatalogDataError(
        `${record.id} names the architecture '${record.architecture}', which data/architectures.json lacks.`,
      );
    }
    return { ...record, architecture };
  });
}

/**
 * Reads every file of `data/machines`.
 * @param choice - what to read; absent: all.
 * @throws CatalogDataError when a file is not valid or an id occurs twice.
 */
export function readMachineRecords(
  folder: URL = new URL('machines/', DATA_FOLDER),
  choice?: FolderChoice,
): MachineRecord[] {
  const records = readDataFolder(folder, machineFileSchema, choice).flatMap((file) => file.machines);
  refuseDuplicates(records, 'data/machines');
  return records;
}

function refuseDuplicates(records: readonly { readonly id: string }[], folder: string): void {
  const seen = new Set<string>();
  for (const { id } of records) {
    if (seen.has(id)) throw new CatalogDataError(`Two records of ${folder} are called '${id}'; keep one.`);
    seen.add(id);
  }
}
