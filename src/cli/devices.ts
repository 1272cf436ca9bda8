import { InvalidArgumentError, type Command } from 'commander';
import {
  CatalogNameError,
  bandwidthOf,
  explainDevice,
  findMachine,
  latestPrice,
  peakOf,
  resolveDevice,
  type CatalogDevice,
} from '../catalog/index.ts';
import {
  readDeviceRecords,
  readMachineRecords,
  readPublishedPowerLevels,
  readPublishedReadings,
  readSources,
} from '../catalog/host/index.ts';
import type { PowerReading } from '../predict/index.ts';
import { answerPower, explainDeviceText, powerAnswerLines } from '../report/index.ts';
import { bytes, formatBandwidth, formatBytes, formatFlopPerSecond, watts } from '../units/index.ts';
import type { CliContext, Enter } from './context.ts';
import { CommandFailure, UsageError, type ExitCode } from './exit.ts';
import { printDocument, printTable } from './output.ts';

interface ListFlags {
  readonly json?: boolean;
}

interface ScaleFlags {
  readonly to: number;
  readonly gain: number;
  readonly json?: boolean;
}

/** Defines `devices` and its subcommands. */
export function configureDevices(command: Command, enter: Enter): void {
  command
    .command('list', { isDefault: true })
    .description(
      'List the GPUs, systems on a chip and processors of the catalogue, with their derived figures.',
    )
    .argument('[search]', 'show only devices whose id, name, alias or architecture has this text')
    .option('--json', 'print one JSON document')
    .action((search: string | undefined, flags: ListFlags) =>
      enter(async (context) => listDevices(search ?? '', flags.json === true, context)),
    );
  command
    .command('show')
    .description('Explain line by line where the figures of a device come from.')
    .argument('<device>', 'its id, name or alias')
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExample:\n  ridgepoint devices show amd-ryzen-ai-max-395')
    .action((name: string, flags: ListFlags) =>
      enter(async (context) => showDevice(name, flags.json === true, context)),
    );
  command
    .command('machines')
    .description('List the computers of the catalogue: their device, their memory, the price seen last.')
    .argument('[search]', 'show only machines whose id, name, vendor or device has this text')
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExample:\n  ridgepoint devices machines framework')
    .action((search: string | undefined, flags: ListFlags) =>
      enter(async (context) => listMachines(search ?? '', flags.json === true, context)),
    );
  command
    .command('scale')
    .description('Extrapolate a speed to another power and more units, by Perf = c x P^k.')
    .argument('<readings...>', 'what was measured, as WATTS:SPEED; k is fitted to three or more powers')
    .requiredOption('--to <watts>', 'the power to extrapolate to', parsePositive)
    .option('--gain <factor>', 'what more units gain at the same power, such as 1.2', parsePositive, 1)
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExample:\n  ridgepoint devices scale 65:23 --to 120 --gain 1.2')
    .action((readings: string[], flags: ScaleFlags) =>
      enter(async (context) => scale(readings.map(parseReading), flags, context)),
    );
}

function listDevices(search: string, json: boolean, context: CliContext): ExitCode {
  const wanted = search.toLowerCase();
  const found = readDeviceRecords().filter((device) =>
    [device.id, device.name, device.architecture.name, device.target ?? '', ...device.aliases].some((text) =>
      text.toLowerCase().includes(wanted),
    ),
  );
  if (json) {
    printDocument(context, 'devices', { devices: found.map(listEntry) });
    return 0;
  }
  if (found.length === 0) {
    throw new CommandFailure(
      `No device of the catalogue matches '${search}'; ridgepoint devices lists them all.`,
    );
  }
  printTable(
    context,
    [
      { title: 'device' },
      { title: 'name' },
      { title: 'memory', align: 'right' },
      { title: 'bandwidth', align: 'right' },
      { title: 'FP16 peak', align: 'right' },
      { title: 'power', align: 'right' },
    ],
    found.map((device) => {
      const entry = listEntry(device);
      return [
        entry.id,
        entry.name,
        memoryText(entry.capacityBytes),
        entry.bandwidthBytesPerSecond === null ? '' : formatBandwidth(entry.bandwidthBytesPerSecond),
        entry.fp16FlopPerSecond === null ? '' : formatFlopPerSecond(entry.fp16FlopPerSecond),
        entry.tdpWatts === null ? '' : `${entry.tdpWatts} W`,
      ];
    }),
  );
  return 0;
}

function listEntry(device: CatalogDevice) {
  const fp16 = peakOf(device, 'fp16') ?? peakOf(device, 'fp16', 'fp16');
  return {
    id: device.id,
    name: device.name,
    vendor: device.vendor,
    kind: device.kind,
    architecture: device.architecture.name,
    capacityBytes: device.memory.capacityBytes,
    bandwidthBytesPerSecond: bandwidthOf(device)?.bytesPerSecond ?? null,
    fp16FlopPerSecond: fp16?.flopPerSecond ?? null,
    tdpWatts: device.tdpWatts,
  };
}

function memoryText(capacities: readonly number[]): string {
  const [first, ...others] = capacities
    .toSorted((a, b) => a - b)
    .map((capacity) => formatBytes(bytes(capacity)));
  const last = others.at(-1);
  if (first === undefined) return '';
  return last === undefined ? first : `${first} to ${last}`;
}

function listMachines(search: string, json: boolean, context: CliContext): ExitCode {
  const wanted = search.toLowerCase();
  const found = readMachineRecords().filter((machine) =>
    [machine.id, machine.name, machine.vendor, machine.device].some((text) =>
      text.toLowerCase().includes(wanted),
    ),
  );
  if (json) {
    printDocument(context, 'machines', { machines: found });
    return 0;
  }
  if (found.length === 0) {
    throw new CommandFailure(
      `No machine of the catalogue matches '${search}'; ridgepoint devices machines lists them all.`,
    );
  }
  printTable(
    context,
    [
      { title: 'machine' },
      { title: 'name' },
      { title: 'device' },
      { title: 'memory', align: 'right' },
      { title: 'price', align: 'right' },
      { title: 'seen' },
    ],
    found.map((machine) => {
      const price = latestPrice(machine);
      return [
        machine.id,
        machine.name,
        machine.deviceCount === 1 ? machine.device : `${machine.deviceCount} x ${machine.device}`,
        machine.memoryBytes === null ? '' : formatBytes(bytes(machine.memoryBytes)),
        price === null ? '' : `${price.approximate === true ? 'about ' : ''}${price.usd} USD`,
        price?.date ?? '',
      ];
    }),
  );
  return 0;
}

function showDevice(name: string, json: boolean, context: CliContext): ExitCode {
  const { device, others } = findOrFail(name);
  const explanation = explainDevice(device, readPublishedReadings(), readSources());
  if (json) {
    printDocument(context, 'device', { ...explanation, others: others.map(({ id }) => id) });
    return 0;
  }
  for (const { title, lines } of explainDeviceText(explanation)) {
    context.stdout(context.colors.bold(title));
    for (const line of lines) context.stdout(`  ${line}`);
  }
  if (others.length > 0) {
    context.stderr(`'${name}' also means ${others.map(({ id }) => id).join(', ')}.`);
  }
  return 0;
}

/** A device by its own name, or that of a machine by the name of the machine. */
function findOrFail(name: string): ReturnType<typeof resolveDevice> {
  const devices = readDeviceRecords();
  try {
    return resolveDevice(name, devices);
  } catch (error) {
    const machine = findMachine(name, readMachineRecords());
    if (machine !== null) return resolveDevice(machine.device, devices);
    if (error instanceof CatalogNameError) throw new CommandFailure(error.message, { cause: error });
    throw error;
  }
}

function scale(readings: readonly PowerReading[], flags: ScaleFlags, context: CliContext): ExitCode {
  const target = { power: watts(flags.to), unitGain: flags.gain };
  const answer = answerPower(readings, target, readPublishedPowerLevels());
  if (flags.json === true) printDocument(context, 'power-scaling', { answer });
  else for (const line of powerAnswerLines(answer)) context.stdout(line);
  return 0;
}

function parseReading(text: string): PowerReading {
  const [power, performance, ...rest] = text.split(':').map(Number);
  if (
    power === undefined ||
    performance === undefined ||
    rest.length > 0 ||
    !(power > 0) ||
    !(performance > 0)
  ) {
    throw new UsageError(`'${text}' is no reading; write watts and speed with a colon between, 65:23.`);
  }
  return { power: watts(power), performance };
}

function parsePositive(text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value))
    throw new InvalidArgumentError('It must be a number above zero.');
  return value;
}
