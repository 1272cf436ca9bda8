import { bytes, KIB, MIB, type Bytes } from '../../units/index.ts';
import { firstKnown, readFrom, type Fact } from '../fact.ts';
import { textsOf, type FileFacts } from './cpu-topology.ts';
import { parseCount, parsePairs } from './lists.ts';

/** Memory types of SMBIOS structure type 17. Source: DMTF DSP0134 3.7, table 78. */
const MEMORY_TYPES: Readonly<Record<number, string>> = {
  0x18: 'DDR3',
  0x1a: 'DDR4',
  0x1b: 'LPDDR',
  0x1c: 'LPDDR2',
  0x1d: 'LPDDR3',
  0x1e: 'LPDDR4',
  0x20: 'HBM',
  0x21: 'HBM2',
  0x22: 'DDR5',
  0x23: 'LPDDR5',
  0x24: 'HBM3',
};

/** One memory device that is present. */
export interface MemoryDevice {
  readonly sizeBytes: Bytes | undefined;
  readonly type: string | undefined;
  readonly transfersPerSecond: number | undefined;
  /** The name of its channel, where the board's maker wrote one into the locator. */
  readonly channel: string | undefined;
}

/** The name of an SMBIOS memory type number, as Windows and the raw structure give it. */
export function memoryTypeName(type: number | undefined): string | undefined {
  return type === undefined ? undefined : MEMORY_TYPES[type];
}

/** The channel that a locator such as `P0 CHANNEL A` or `Controller0-ChannelB-DIMM0` names. */
export function channelName(...locators: readonly (string | undefined)[]): string | undefined {
  for (const locator of locators) {
    const match = /((?:controller\s*\d+|[PC]\d+)?[\s_-]*)channel[\s_-]*([a-z0-9]+)/i.exec(locator ?? '');
    if (match?.[2] !== undefined) return `${match[1] ?? ''}${match[2]}`.toUpperCase().trim();
  }
  return undefined;
}

/** Reads the MEMORY_DEVICE_* properties that udev keeps (systemd 248 and newer), readable for everybody. */
export function parseUdevMemory(output: Fact<string>): Fact<MemoryDevice[]> {
  return readFrom(output, 'MEMORY_DEVICE_*', (text) => {
    const pairs = parsePairs(text.replaceAll(/^E: /gm, ''), '=');
    const numbers = new Set<string>();
    for (const name of pairs.keys()) {
      const number = /^MEMORY_DEVICE_(\d+)_/.exec(name)?.[1];
      if (number !== undefined) numbers.add(number);
    }
    const devices = [...numbers].flatMap((number): MemoryDevice[] => {
      const get = (name: string): string | undefined => pairs.get(`MEMORY_DEVICE_${number}_${name}`);
      const size = parseCount(get('SIZE') ?? '');
      if (get('PRESENT') === '0' || size === undefined || size === 0) return [];
      const speed = parseCount(get('CONFIGURED_SPEED_MTS') ?? '') ?? parseCount(get('SPEED_MTS') ?? '');
      const type = get('TYPE');
      return [
        {
          sizeBytes: bytes(size),
          type: type === undefined || /unknown|specification/i.test(type) ? undefined : type,
          transfersPerSecond: speed === undefined || speed === 0 ? undefined : speed * 1e6,
          channel: channelName(get('BANK_LOCATOR'), get('LOCATOR')),
        },
      ];
    });
    return devices.length === 0 ? undefined : devices;
  });
}

/** Offsets within SMBIOS structure type 17, in bytes. Source: DMTF DSP0134 3.7, section 7.18. */
const SIZE = 0x0c;
const TYPE = 0x12;
const SPEED = 0x15;
const EXTENDED_SIZE = 0x1c;
const CONFIGURED_SPEED = 0x20;

/** Reads the raw structures of /sys/firmware/dmi/entries, which only root can; their strings are not kept. */
export function parseRawMemory(files: FileFacts): Fact<MemoryDevice[]> {
  return readFrom(
    files,
    '',
    () => {
      const devices = [...textsOf(files).values()].flatMap(rawDevice);
      return devices.length === 0 ? undefined : devices;
    },
    'no memory device could be read (root may)',
  );
}

function rawDevice(hexadecimal: string): MemoryDevice[] {
  const byte = (offset: number): number => Number.parseInt(hexadecimal.slice(offset * 2, offset * 2 + 2), 16);
  const word = (offset: number): number => byte(offset) + 256 * byte(offset + 1);
  const size = word(SIZE);
  // 0 is an empty socket and 0xffff an unknown size.
  if (Number.isNaN(size) || size === 0 || size === 0xffff) return [];
  const speed = [word(CONFIGURED_SPEED), word(SPEED)].find((value) => value > 0 && value < 0xffff);
  const extended = word(EXTENDED_SIZE) + 65_536 * word(EXTENDED_SIZE + 2);
  // Bit 15 of the size means KiB instead of MiB; 0x7fff refers to the extended size in MiB.
  const sizeBytes = size === 0x7fff ? extended * MIB : size >= 0x8000 ? (size - 0x8000) * KIB : size * MIB;
  return [
    {
      sizeBytes: Number.isNaN(sizeBytes) ? undefined : bytes(sizeBytes),
      type: memoryTypeName(byte(TYPE)),
      transfersPerSecond: speed === undefined ? undefined : speed * 1e6,
      channel: undefined,
    },
  ];
}

export interface InstalledMemory {
  readonly installedBytes: Fact<Bytes>;
  readonly type: Fact<string>;
  readonly transfersPerSecond: Fact<number>;
  readonly modules: Fact<number>;
  readonly channels: Fact<number>;
}

/** Puts the memory devices of the first source that knows them together. */
export function installedMemory(
  first: Fact<MemoryDevice[]>,
  ...others: readonly Fact<MemoryDevice[]>[]
): InstalledMemory {
  const devices = firstKnown(first, ...others);
  return {
    installedBytes: readFrom(devices, 'size', (all) => {
      let total = 0;
      for (const { sizeBytes } of all) {
        if (sizeBytes === undefined) return undefined;
        total += sizeBytes;
      }
      return bytes(total);
    }),
    type: readFrom(devices, 'type', (all) => {
      const types = new Set(all.map(({ type }) => type).filter((type) => type !== undefined));
      return types.size === 0 ? undefined : [...types].join(' + ');
    }),
    // Unequal modules run at the speed of the slowest.
    transfersPerSecond: readFrom(devices, 'speed', (all) => {
      const speeds = all.map((device) => device.transfersPerSecond).filter((speed) => speed !== undefined);
      return speeds.length === 0 ? undefined : Math.min(...speeds);
    }),
    modules: readFrom(devices, 'modules', (all) => all.length),
    channels: readFrom(
      devices,
      'channels',
      (all) => {
        const names = all.map(({ channel }) => channel).filter((channel) => channel !== undefined);
        return names.length < all.length ? undefined : new Set(names).size;
      },
      'the locators of the memory devices name no channels',
    ),
  };
}
