import type { Bytes } from '../units/index.ts';
import type { CatalogDevice } from './device-record.ts';
import type { MachineRecord } from './machine-record.ts';
import { CatalogNameError } from './name-error.ts';
import { nearestClause } from './nearest-names.ts';

export interface ResolvedDevice {
  readonly device: CatalogDevice;
  /** How many of them: `nvidia-rtx-3090-x2` are two. */
  readonly count: number;
  /** Further devices that go by the same name, such as the variant with more memory. */
  readonly others: readonly CatalogDevice[];
}

/** What is known besides the name: it tells variants apart that share one. */
export interface DeviceHints {
  /** The memory that the driver reports, which is a little below the capacity that is sold. */
  readonly memoryBytes?: Bytes;
  /** The processor cores or the GPU, where a name means both (`Ryzen AI Max+ 395`). */
  readonly kind?: 'cpu' | 'gpu';
  /** How many units (GPU cores, multiprocessors) the driver counts: an Apple chip is sold with several numbers of them. */
  readonly units?: number;
}

/** More than any machine holds; a larger number is a mistake. */
const MAX_DEVICE_COUNT = 64;

/**
 * Finds a device by id, name or alias, in any spelling: `nvidia-rtx-4090`, `NVIDIA GeForce RTX 4090`,
 * `Ryzen 9 7950X 16-Core Processor`. `-x2` at the end means two of them, `cpu-` or `gpu-` in front that kind only.
 * Of variants with one name the memory decides; without that hint the one with the most memory is taken.
 * @throws CatalogNameError naming the nearest ids.
 */
export function resolveDevice(
  text: string,
  devices: readonly CatalogDevice[],
  hints: DeviceHints = {},
): ResolvedDevice {
  const found = findDevice(text, devices, hints);
  if (found === null) {
    const ids = devices.map((device) => ({ id: device.id, names: namesOf(device) }));
    throw new CatalogNameError(
      'unknown-device',
      `There is no device '${text}' in the catalogue${nearestClause(text, ids, 'ids')}. To list them: ridgepoint devices`,
    );
  }
  return found;
}

/** Like `resolveDevice`, but null when there is none. */
export function findDevice(
  text: string,
  devices: readonly CatalogDevice[],
  hints: DeviceHints = {},
): ResolvedDevice | null {
  const exact = devices.find((device) => device.id === text.trim().toLowerCase());
  if (exact !== undefined) return { device: exact, count: 1, others: [] };
  const single = findSingle(slug(text), devices, hints);
  if (single !== null) return { ...single, count: 1 };
  const [, name, digits] = /^(.*)-x(\d{1,2})$/.exec(slug(text)) ?? [];
  if (name === undefined || digits === undefined) return null;
  const count = Number(digits);
  const each = count < 1 || count > MAX_DEVICE_COUNT ? null : findSingle(name, devices, hints);
  return each === null ? null : { ...each, count };
}

function findSingle(
  wanted: string,
  devices: readonly CatalogDevice[],
  hints: DeviceHints,
): Omit<ResolvedDevice, 'count'> | null {
  const [, prefix, rest] = /^(cpu|gpu)-(.+)$/.exec(wanted) ?? [];
  const key = withoutDecoration(rest ?? wanted);
  const named = devices.filter((device) => namesOf(device).includes(key));
  const kind = hints.kind ?? prefix ?? (named.some(hasGpu) ? 'gpu' : 'cpu');
  const fitting = named
    .filter((device) => device.kind === 'soc' || (kind === 'gpu') === hasGpu(device))
    .sort((a, b) => misfit(a, hints) - misfit(b, hints));
  const [device, ...others] = fitting;
  return device === undefined ? null : { device, others };
}

function hasGpu(device: CatalogDevice): boolean {
  return device.kind !== 'cpu';
}

/** The misfit of a device whose memory is not in its record: more than the capacity of any device. */
const UNKNOWN_CAPACITY = 2 ** 50;
/** Another number of units than was counted weighs more than any difference in memory. */
const WRONG_UNITS = 2 ** 52;

/** How far a device is from what was seen; the more memory, the better, where nothing was seen of it. */
function misfit(device: CatalogDevice, hints: DeviceHints): number {
  const { count } = device.units;
  const wrongUnits = hints.units !== undefined && count !== null && count !== hints.units;
  return memoryMisfit(device, hints) + (wrongUnits ? WRONG_UNITS : 0);
}

function memoryMisfit(device: CatalogDevice, { memoryBytes }: DeviceHints): number {
  const { capacityBytes } = device.memory;
  if (memoryBytes === undefined) return -Math.max(0, ...capacityBytes);
  return Math.min(...capacityBytes.map((capacity) => Math.abs(capacity - memoryBytes)), UNKNOWN_CAPACITY);
}

/** All the slugs that a device answers to: with and without the vendor in front. */
function namesOf(device: CatalogDevice): string[] {
  const vendor = slug(device.vendor);
  const plain = [device.id, device.name, ...device.aliases].map((name) => withoutDecoration(slug(name)));
  return [...new Set(plain.flatMap((name) => [name, `${vendor}-${name}`]))];
}

/** Lower case, `(R)` and `(TM)` dropped, everything but letters and digits a dash, GB joined to its number. */
function slug(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/\((?:r|tm|c)\)|@.*$/g, ' ')
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/(\d)-gb\b/g, '$1gb')
    .replaceAll(/^-+|-+$/g, '');
}

/**
 * What drivers, brand strings and compilers put around a name: `NVIDIA GeForce RTX 4090`, `Intel(R) Xeon(R) CPU E5-2667
 * v4 @ 3.20GHz`, `AMD Ryzen 7 4800H with Radeon Graphics`, and the LLVM target that LocalScore appends (`-znver2`,
 * `-alderlake`).
 */
const DECORATIONS: readonly (readonly [RegExp, string])[] = [
  [/^\d+th-gen-/, ''],
  [/^(intel-)?core-(?=[im]\d)/, '$1'],
  [/-radv(?:-[a-z0-9]+)*$/, ''],
  [/-w-radeon(?:-[a-z0-9]+)*$/, ''],
  [/^(nvidia-)?geforce-/, '$1'],
  [/^(amd-)?radeon-rx-/, '$1rx-'],
  [/-laptop-gpu$/, '-laptop'],
  [/-(?:znver\d|bdver\d|alderlake|sapphirerapids|arrowlake(?:-s)?|skylake-avx512)$/, ''],
  [/-with-radeon(?:-[a-z0-9]+)*-(?:graphics|gfx)$/, ''],
  [/(\d[a-z0-9]*)-graphics$/, '$1'],
  [/-\d+-cores$/, ''],
  [/-(?:\d+|two|four|six|eight|twelve|sixteen)-core-processor$/, ''],
  [/-processor(?=-|$)/, ''],
  [/-cpu(?=-|$)/, ''],
];

function withoutDecoration(name: string): string {
  return DECORATIONS.reduce((plain, [decoration, instead]) => plain.replace(decoration, instead), name);
}

/**
 * Finds a machine by id, name or alias.
 * @param devices - where a device alone would do as well: the error then names the nearest of both.
 * @throws CatalogNameError naming the nearest ids.
 */
export function resolveMachine(
  text: string,
  machines: readonly MachineRecord[],
  devices: readonly CatalogDevice[] = [],
): MachineRecord {
  const found = findMachine(text, machines);
  if (found === null) {
    const ids = [
      ...machines.map((machine) => ({ id: machine.id, names: machineNames(machine) })),
      ...devices.map((device) => ({ id: device.id, names: namesOf(device) })),
    ];
    throw new CatalogNameError(
      'unknown-machine',
      `There is no machine '${text}' in the catalogue${nearestClause(text, ids, 'ids')}. To list them: ridgepoint devices machines; to list single devices: ridgepoint devices`,
    );
  }
  return found;
}

/** Like `resolveMachine`, but null when there is none. */
export function findMachine(text: string, machines: readonly MachineRecord[]): MachineRecord | null {
  const wanted = slug(text);
  return machines.find((machine) => machineNames(machine).includes(wanted)) ?? null;
}

function machineNames(machine: MachineRecord): string[] {
  const plain = [machine.id, machine.name, ...machine.aliases].map(slug);
  return [...new Set(plain.flatMap((name) => [name, `${slug(machine.vendor)}-${name}`]))];
}
