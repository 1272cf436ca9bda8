import { existsSync } from 'node:fs';
import {
  budgetOfDevice,
  budgetOfFacts,
  budgetOfMachine,
  budgetOnCores,
  type MemoryBudget,
} from '../advise/index.ts';
import {
  CatalogNameError,
  computesOnCores,
  findMachine,
  latestPrice,
  powerOfDevice,
  powerOfMachine,
  resolveMachine,
  type CatalogDevice,
  type PowerFigure,
} from '../catalog/index.ts';
import {
  findDeviceRecord,
  readDeviceRecords,
  readMachineRecords,
  readMachineRecordsNaming,
  readModelRecords,
} from '../catalog/host/index.ts';
import type { CatalogueMatch, MachineFacts } from '../machine/index.ts';
import {
  parseBackend,
  predictedDevice,
  predictedOwnDevice,
  Predictor,
  usualFamily,
  type Backend,
  type Calibration,
  type CalibrationFile,
  type Configuration,
  type OwnDevice,
  type PredictedDevice,
} from '../predict/index.ts';
import { readCalibrationFile, readParameters } from '../predict/host/index.ts';
import { bytes } from '../units/index.ts';
import { calibrationPath, type CliContext } from './context.ts';
import { CommandFailure, UsageError } from './exit.ts';
import { refuseMissingFile, THIS_MACHINE } from './machine-name.ts';

/** A machine to predict for, with what a buyer asks about it. */
export interface Target {
  readonly name: string;
  /** In the catalogue; null for a device alone, and for what is in none. */
  readonly machineId: string | null;
  readonly device: PredictedDevice;
  readonly backend: Backend;
  readonly memoryBytes: number | null;
  /** The memory in which a model may lie; null: not known. */
  readonly budget: MemoryBudget | null;
  /** Of the catalogue: the device, and the processor beside it where the facts of the machine name one. */
  readonly record: CatalogDevice | null;
  readonly processor: CatalogDevice | null;
  readonly priceUsd: number | null;
  /** Under load, with what it is a figure of; null: not known. */
  readonly power: PowerFigure | null;
}

/** Read once for all the machines of a command. */
const knownDevices = once(() => readDeviceRecords());

function once<Value>(read: () => Value): () => Value {
  let known: { readonly value: Value } | null = null;
  return () => (known ??= { value: read() }).value;
}

/** The predictor with the catalogue, the learned parameters and this machine's calibrations. */
export function openPredictor(
  context: CliContext,
  calibrations: readonly Calibration[] = readCalibrationFile(calibrationPath(context.paths)).calibrations,
): Predictor {
  return new Predictor(
    readParameters(),
    {
      get devices() {
        return knownDevices();
      },
      get models() {
        return readModelRecords();
      },
    },
    calibrations,
  );
}

/** What was measured on this machine: calibrations, and its devices where they are in no catalogue. */
export interface OwnMeasurements extends CalibrationFile {
  /** What `probe` found, read when nothing else describes the machine. */
  readonly probed: () => Promise<readonly OwnDevice[]>;
}

/** What `calibrate` and `probe` kept. */
export const ownMeasurements = (context: CliContext): OwnMeasurements => ({
  ...readCalibrationFile(calibrationPath(context.paths)),
  probed: async () => (await import('./probed-device.ts')).probedDevices(context),
});

/**
 * Resolves a machine or a device of the catalogue, a saved machine, or this one, with a backend or the usual one.
 * @param kept - what was measured here: it decides what this machine is, and with which backend it computes.
 */
export async function openTarget(
  name: string | undefined,
  backend: string | undefined,
  kept: OwnMeasurements | null = null,
): Promise<Target> {
  if (name === undefined || name === THIS_MACHINE) return targetOfThisMachine(backend, kept);
  if (existsSync(name)) return targetOfFacts(name, backend);
  refuseMissingFile(name);
  const machine = findMachine(name, readMachineRecordsNaming(name));
  if (machine !== null) {
    const device = findDeviceRecord(machine.device)?.device;
    if (device === undefined)
      throw new CommandFailure(`The device of ${machine.name} is not in the catalogue.`);
    const target = targetOf(machine.name, device, machine.deviceCount, backend);
    return {
      ...target,
      machineId: machine.id,
      memoryBytes: machine.memoryBytes,
      budget: onBackend(budgetOfMachine(machine, device), target),
      priceUsd: latestPrice(machine)?.usd ?? null,
      power: powerOfMachine(machine, device, target.device.unit === 'cpu'),
    };
  }
  const found = findDeviceRecord(name);
  if (found === null) {
    try {
      resolveMachine(name, readMachineRecords(), knownDevices());
    } catch (error) {
      if (error instanceof CatalogNameError) throw new CommandFailure(error.message, { cause: error });
      throw error;
    }
    throw new CommandFailure(`There is no machine '${name}'.`);
  }
  const { device, count } = found;
  return targetOf(count === 1 ? device.name : `${count} x ${device.name}`, device, count, backend);
}

function targetOf(
  name: string,
  device: CatalogDevice,
  count: number,
  backendText: string | undefined,
): Target {
  const text = backendText ?? (computesOnCores(device) ? 'cpu' : undefined);
  const onCores = device.kind === 'cpu' || isCpu(text);
  const unit = onCores ? 'cpu' : 'gpu';
  const predicted = predictedDevice(device, count, unit);
  if (predicted === null) {
    throw new CommandFailure(
      `No memory bandwidth of ${device.name} is published, so nothing can be predicted for it; on that machine run ridgepoint calibrate.`,
    );
  }
  const chosen = text ?? usualFamily(predicted.vendor, unit) ?? '';
  const backend = parseBackend(chosen, predicted.vendor, unit);
  if (backend === null)
    throw new UsageError(`'${chosen}' is no backend; write cpu, cuda, metal, rocm or vulkan.`);
  checkBackend(backend, device, unit);
  const [capacity] = device.memory.capacityBytes.slice(-1);
  return {
    name,
    machineId: null,
    device: predicted,
    backend,
    memoryBytes: capacity === undefined ? null : capacity * count,
    budget: onCores
      ? budgetOnCores(budgetOfDevice(device, null, count))
      : budgetOfDevice(device, null, count),
    record: device,
    processor: null,
    priceUsd: device.launchPriceUsd === null ? null : device.launchPriceUsd * count,
    power: powerOfDevice(device, count),
  };
}

/** The vendors whose devices a backend of one vendor runs on; the others run on any. */
const VENDORS_OF_BACKEND: Readonly<Record<string, readonly string[]>> = {
  cuda: ['nvidia'],
  rocm: ['amd'],
  // Macs with Intel processors have GPUs of AMD or Intel.
  metal: ['apple', 'amd', 'intel'],
};

/** Refuses a backend that does not exist for a device: a figure for it would be about nothing. */
function checkBackend({ family }: Backend, device: CatalogDevice, unit: 'cpu' | 'gpu'): void {
  if (family === 'cpu' && device.kind === 'discrete-gpu') {
    throw new CommandFailure(
      `${device.name} is a graphics card, which the cpu backend does not use; name the processor with --machine.`,
    );
  }
  if (family !== 'cpu' && unit === 'cpu') {
    throw new CommandFailure(`${device.name} is a processor, which ${family} does not use; take cpu.`);
  }
  const vendors = VENDORS_OF_BACKEND[family];
  if (vendors !== undefined && !vendors.includes(device.vendor.toLowerCase())) {
    throw new CommandFailure(
      `There is no ${family} for ${device.name}; take ${usualFamily(device.vendor, unit) ?? 'vulkan'}.`,
    );
  }
}

/** Whether the weights alone fit the memory; null: unknown. `prediction-memory.ts` has the whole account. */
export function weightsFit(
  { memoryBytes }: Pick<Target, 'memoryBytes'>,
  { bytes }: { readonly bytes: Pick<Configuration['bytes'], 'dense' | 'head' | 'experts'> },
): boolean | null {
  return memoryBytes === null ? null : bytes.dense + bytes.head + bytes.experts < memoryBytes;
}

/** The device of this machine that is in no catalogue. */
export function targetOfOwn(own: OwnDevice, name: string): Target {
  const backend = parseBackend(own.backend, own.vendor, own.unit);
  if (backend === null)
    throw new CommandFailure(`'${own.backend}' is no backend that predictions are made for.`);
  return {
    name,
    machineId: null,
    device: predictedOwnDevice(own),
    backend,
    memoryBytes: own.memoryBytes,
    budget: budgetOfOwn(own),
    record: null,
    processor: null,
    priceUsd: null,
    power: null,
  };
}

function budgetOfOwn({ memoryBytes, unit }: OwnDevice): MemoryBudget | null {
  if (memoryBytes === null) return null;
  return unit === 'cpu'
    ? { kind: 'processor', systemBytes: bytes(memoryBytes) }
    : { kind: 'gpu', gpus: [bytes(memoryBytes)], systemBytes: null };
}

/** The memory in which the target computes: of an APU's cores it is the system's. */
const onBackend = (budget: MemoryBudget | null, { device }: Pick<Target, 'device'>): MemoryBudget | null =>
  device.unit === 'cpu' ? budgetOnCores(budget) : budget;

const isCpu = (backend: string | undefined): boolean => backend?.toLowerCase().startsWith('cpu') === true;

async function targetOfThisMachine(
  backend: string | undefined,
  kept: OwnMeasurements | null,
): Promise<Target> {
  const { identify } = await import('../machine/index.ts');
  const facts = identify(await (await import('../machine/host/index.ts')).gatherMachine());
  const matches = await partsIn(facts, backend);
  for (const { seen, device, part } of matches) {
    // What was measured here goes before what is published of the device.
    const own = kept?.devices?.findLast(
      (each) =>
        each.name === seen && each.unit === part && (backend === undefined || each.backend === backend),
    );
    if (own !== undefined) return targetOfOwn(own, 'this machine');
    if (device === null) continue;
    const calibrated = kept?.calibrations.findLast(({ deviceId }) => deviceId === device.id)?.backend;
    const target = targetOf('this machine', device, 1, part === 'cpu' ? 'cpu' : (backend ?? calibrated));
    return withFacts(target, facts);
  }
  const probed = (await kept?.probed()) ?? [];
  for (const { seen, part } of matches) {
    const own = probed.findLast(
      (each) =>
        each.name === seen && each.unit === part && (backend === undefined || each.backend === backend),
    );
    if (own === undefined) continue;
    const { partDetails } = await import('./calibrate-device.ts');
    return targetOfOwn({ ...own, ...partDetails(facts, part) }, 'this machine');
  }
  const seen = matches.map((match) => match.seen).join(', ');
  throw new CommandFailure(
    `The catalogue has no entry for ${seen === '' ? 'this machine' : seen}: run ridgepoint calibrate${backend === undefined ? '' : ` --backend ${backend}`}, which measures it in some minutes, or name a similar machine or device with --machine.`,
  );
}

async function targetOfFacts(file: string, backend: string | undefined): Promise<Target> {
  const facts = await (await import('./machine.ts')).readMachine(file);
  const matches = await partsIn(facts, backend);
  const match = matches.find(({ device }) => device !== null);
  if (match?.device === undefined || match.device === null) {
    const seen = matches.map((each) => each.seen).join(', ');
    throw new CommandFailure(
      `The catalogue has no entry for ${seen === '' ? 'this machine' : seen}, so its bandwidth is not known; name a machine or device with --machine.`,
    );
  }
  return withFacts(targetOf(file, match.device, 1, match.part === 'cpu' ? 'cpu' : backend), facts);
}

/** What the facts of a machine know better than the catalogue of devices: its memory, and its processor. */
async function withFacts(target: Target, facts: MachineFacts): Promise<Target> {
  const { totalBytes } = facts.memory;
  const onCores = target.device.unit === 'cpu';
  const budget: MemoryBudget | null = onCores
    ? totalBytes.known
      ? { kind: 'processor', systemBytes: totalBytes.value }
      : null
    : budgetOfFacts(facts);
  const parts = await partsIn(facts, 'cpu');
  const processor = parts.find(({ device }) => device !== null)?.device ?? null;
  return { ...target, budget: budget ?? target.budget, processor };
}

/** The parts that may compute with a backend, GPUs first. */
async function partsIn(facts: MachineFacts, backend: string | undefined): Promise<CatalogueMatch[]> {
  const { matchCatalogue } = await import('../machine/index.ts');
  return matchCatalogue(facts, knownDevices()).filter(
    ({ part }) => backend === undefined || (part === 'cpu') === isCpu(backend),
  );
}
