import { existsSync } from 'node:fs';
import {
  CatalogNameError,
  findDevice,
  findMachine,
  latestPrice,
  resolveMachine,
  type CatalogDevice,
} from '../catalog/index.ts';
import { readDeviceRecords, readMachineRecords, readModelRecords } from '../catalog/host/index.ts';
import { identify, matchCatalogue, type CatalogueMatch, type MachineFacts } from '../machine/index.ts';
import { modelFrom, webAccessOf } from '../model/host/index.ts';
import {
  configure,
  parseBackend,
  parseQuantisation,
  predictedDevice,
  predictedOwnDevice,
  Predictor,
  usualFamily,
  weightTypesOf,
  workOf,
  type Backend,
  type Calibration,
  type CalibrationFile,
  type Configuration,
  type OwnDevice,
  type PredictedDevice,
} from '../predict/index.ts';
import { readCalibrationFile, readParameters } from '../predict/host/index.ts';
import { weightBytes } from '../model/index.ts';
import { calibrationPath, type CliContext } from './context.ts';
import { CommandFailure, UsageError } from './exit.ts';
import { knownModelsNaming } from './known-models.ts';

/** A machine to predict for, with what a buyer asks about it. */
export interface Target {
  readonly name: string;
  readonly device: PredictedDevice;
  readonly backend: Backend;
  readonly memoryBytes: number | null;
  readonly priceUsd: number | null;
  /** Of the machine under load where it is known, else of its graphics cards alone. */
  readonly watts: number | null;
}

/** A model to predict for. */
export interface PredictedModel {
  readonly title: string;
  readonly id: string;
  readonly configurationOn: (target: Target, settings: Settings) => Configuration;
}

export interface Settings {
  readonly depth: number;
  readonly ubatch: number | null;
  readonly flashAttention: boolean | null;
  readonly cacheType: string | null;
}

/** The predictor with the catalogue, the learned parameters and this machine's calibrations. */
export function openPredictor(
  context: CliContext,
  calibrations: readonly Calibration[] = ownCalibrations(context).calibrations,
): Predictor {
  return new Predictor(
    readParameters(),
    { devices: readDeviceRecords(), models: readModelRecords() },
    calibrations,
  );
}

/** What `calibrate` kept: the calibrations, and devices of this machine that are in no catalogue. */
export const ownCalibrations = (context: CliContext): CalibrationFile =>
  readCalibrationFile(calibrationPath(context.paths));

/** Resolves `name:QUANT`, a GGUF file or `org/repo:QUANT`. */
export async function openModel(text: string, context: CliContext): Promise<PredictedModel> {
  const named = await modelFrom(text, {
    records: knownModelsNaming(text.split(':')[0] ?? text, context),
    access: webAccessOf(process.env, context.signal),
  });
  const quantisation = parseQuantisation(named.mix);
  if (quantisation === null)
    throw new CommandFailure(`Nothing is known about the speed of ${named.mix}; take another quantisation.`);
  const work = workOf(named.shape);
  const fileBytes = named.file?.tensorBytes ?? weightBytes(named.shape, named.mix);
  const types = weightTypesOf(named.shape, named.mix);
  return {
    id: named.id,
    title: `${named.title} ${named.mix}`,
    configurationOn: ({ device, backend }, { depth, ubatch, flashAttention, cacheType }) =>
      configure({
        device,
        backend,
        engine: 'llama.cpp',
        day: null,
        work,
        quantisation,
        fileBytes,
        depth,
        batch: null,
        ubatch,
        flashAttention,
        typeK: cacheType,
        typeV: cacheType,
        types,
      }),
  };
}

/**
 * Resolves a machine or a device of the catalogue, a saved machine, or this one, with a backend or the usual one.
 * @param kept - what `calibrate` learned here: it decides what this machine is, and with which backend it computes.
 */
export async function openTarget(
  name: string | undefined,
  backend: string | undefined,
  kept: CalibrationFile | null = null,
): Promise<Target> {
  if (name === undefined) return targetOfThisMachine(backend, kept);
  if (existsSync(name)) return targetOfFacts(name, backend);
  const machines = readMachineRecords();
  const devices = readDeviceRecords();
  const machine = findMachine(name, machines);
  if (machine !== null) {
    const device = devices.find(({ id }) => id === machine.device);
    if (device === undefined)
      throw new CommandFailure(`The device of ${machine.name} is not in the catalogue.`);
    const power = machine.power;
    return {
      ...targetOf(machine.name, device, machine.deviceCount, backend),
      memoryBytes: machine.memoryBytes,
      priceUsd: latestPrice(machine)?.usd ?? null,
      watts:
        power?.sustainedWatts ??
        power?.loadWatts?.[1] ??
        power?.maximumWatts ??
        cardWatts(device, machine.deviceCount),
    };
  }
  const found = findDevice(name, devices);
  if (found === null) {
    try {
      resolveMachine(name, machines);
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
  const onCores = device.kind === 'cpu' || backendText?.toLowerCase().startsWith('cpu') === true;
  const unit = onCores ? 'cpu' : 'gpu';
  const predicted = predictedDevice(device, count, unit);
  if (predicted === null) {
    throw new CommandFailure(
      `No memory bandwidth of ${device.name} is published, so nothing can be predicted for it; on that machine run ridgepoint calibrate.`,
    );
  }
  const text = backendText ?? usualFamily(predicted.vendor, unit) ?? '';
  const backend = parseBackend(text, predicted.vendor, unit);
  if (backend === null)
    throw new UsageError(`'${text}' is no backend; write cpu, cuda, metal, rocm or vulkan.`);
  checkBackend(backend, device, unit);
  const [capacity] = device.memory.capacityBytes.slice(-1);
  return {
    name,
    device: predicted,
    backend,
    memoryBytes: capacity === undefined ? null : capacity * count,
    priceUsd: device.launchPriceUsd === null ? null : device.launchPriceUsd * count,
    watts: cardWatts(device, count),
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

/** Whether the weights alone fit the memory: without, the speed is that of a larger device of the kind; null: unknown. */
export function weightsFit(
  { memoryBytes }: Pick<Target, 'memoryBytes'>,
  { bytes }: { readonly bytes: Pick<Configuration['bytes'], 'dense' | 'head' | 'experts'> },
): boolean | null {
  return memoryBytes === null ? null : bytes.dense + bytes.head + bytes.experts < memoryBytes;
}

/** Warns of a speed that this machine cannot reach, because the model does not fit it. */
export function warnOfMemory(
  target: Target,
  model: PredictedModel,
  configuration: Configuration,
  context: CliContext,
): void {
  if (weightsFit(target, configuration) !== false) return;
  context.stderr(
    `warning: ${model.title} is larger than the memory of ${target.name}; what is predicted is a device of the kind with more. ridgepoint fit says what fits.`,
  );
}

/** The device of this machine that is in no catalogue. */
export function targetOfOwn(own: OwnDevice, name: string): Target {
  const backend = parseBackend(own.backend, own.vendor, own.unit);
  if (backend === null)
    throw new CommandFailure(`'${own.backend}' is no backend that predictions are made for.`);
  return {
    name,
    device: predictedOwnDevice(own),
    backend,
    memoryBytes: own.memoryBytes,
    priceUsd: null,
    watts: null,
  };
}

const isCpu = (backend: string | undefined): boolean => backend?.toLowerCase().startsWith('cpu') === true;

async function targetOfThisMachine(
  backend: string | undefined,
  kept: CalibrationFile | null,
): Promise<Target> {
  const facts = identify(await (await import('../machine/host/index.ts')).gatherMachine());
  const matches = partsIn(facts, backend);
  for (const { seen, device, part } of matches) {
    // What was measured here goes before what is published of the device.
    const own = kept?.devices?.findLast(
      (each) =>
        each.name === seen && each.unit === part && (backend === undefined || each.backend === backend),
    );
    if (own !== undefined) return targetOfOwn(own, 'this machine');
    if (device === null) continue;
    const calibrated = kept?.calibrations.findLast(({ deviceId }) => deviceId === device.id)?.backend;
    return targetOf('this machine', device, 1, part === 'cpu' ? 'cpu' : (backend ?? calibrated));
  }
  const seen = matches.map((match) => match.seen).join(', ');
  throw new CommandFailure(
    `The catalogue has no entry for ${seen === '' ? 'this machine' : seen}: run ridgepoint calibrate${backend === undefined ? '' : ` --backend ${backend}`}, which measures it in some minutes, or name a similar machine or device with --machine.`,
  );
}

async function targetOfFacts(file: string, backend: string | undefined): Promise<Target> {
  const facts = await (await import('./machine.ts')).readMachine(file);
  const matches = partsIn(facts, backend);
  const match = matches.find(({ device }) => device !== null);
  if (match?.device === undefined || match.device === null) {
    const seen = matches.map((each) => each.seen).join(', ');
    throw new CommandFailure(
      `The catalogue has no entry for ${seen === '' ? 'this machine' : seen}, so its bandwidth is not known; name a machine or device with --machine.`,
    );
  }
  return targetOf(file, match.device, 1, match.part === 'cpu' ? 'cpu' : backend);
}

/** The parts that may compute with a backend, GPUs first. */
function partsIn(facts: MachineFacts, backend: string | undefined): CatalogueMatch[] {
  return matchCatalogue(facts, readDeviceRecords()).filter(
    ({ part }) => backend === undefined || (part === 'cpu') === isCpu(backend),
  );
}

/**
 * Board power of graphics cards. A system on a chip has one design power for every machine that it is built into, from
 * a tablet to a workstation, so that only the machine's own figure says something; null is unknown.
 */
function cardWatts(device: CatalogDevice, count: number): number | null {
  return device.kind === 'discrete-gpu' && device.tdpWatts !== null ? device.tdpWatts * count : null;
}
