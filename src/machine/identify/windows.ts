import { bytes, hertz, KIB, MIB } from '../../units/index.ts';
import { textOf, type Capture } from '../capture.ts';
import { firstKnown, known, readFrom, unknown, type Fact } from '../fact.ts';
import type { Gpu } from '../facts.ts';
import { channelName, installedMemory, memoryTypeName, type MemoryDevice } from '../parse/dmi.ts';
import { vendorName } from '../parse/pci.ts';
import { parseWindowsScheme } from '../parse/power-profile.ts';
import { parseCim, parseCimDate, type CimDocument } from '../parse/powershell.ts';
import { WINDOWS } from '../sources.ts';
import { MAX_ADAPTER_RAM, unknownGpu } from './gpus.ts';
import { factsOfLinuxAlone } from './linux-alone.ts';
import type { PlatformFacts } from './platform.ts';

const absent = (what: string) => unknown(`Windows does not tell ${what} through CIM`, 'win32');
const LINUX = factsOfLinuxAlone('win32');

/** The facts of a Windows machine. */
export function identifyWindows(capture: Capture): PlatformFacts {
  const cim = parseCim(textOf(capture, WINDOWS.cim));
  const read = <T>(name: string, pick: (document: CimDocument) => T | null | undefined): Fact<T> =>
    readFrom(cim, name, (document) => pick(document) ?? undefined);
  const sumOf = (
    pick: (processor: CimDocument['processor'][number]) => number | null | undefined,
    name: string,
  ) => read(name, ({ processor }) => sum(processor.map(pick)));
  const cores = sumOf((processor) => processor.NumberOfCores, 'Win32_Processor.NumberOfCores');
  return {
    system: {
      vendor: read('Win32_ComputerSystem.Manufacturer', ({ computer }) => computer?.Manufacturer),
      product: read('Win32_ComputerSystem.Model', ({ computer }) => computer?.Model),
    },
    os: {
      name: read('Win32_OperatingSystem.Caption', ({ system }) => system?.Caption?.trim()),
      kernel: read('Win32_OperatingSystem.Version', ({ system }) => system?.Version),
      translated: unknown('Rosetta is a matter of macOS', 'win32'),
    },
    cpu: {
      model: read('Win32_Processor.Name', ({ processor }) => processor[0]?.Name?.trim()),
      vendor: read('Win32_Processor.Manufacturer', ({ processor }) => processor[0]?.Manufacturer),
      sockets: read('Win32_Processor', ({ processor }) => processor.length || undefined),
      physicalCores: cores,
      logicalCores: sumOf(
        (processor) => processor.NumberOfLogicalProcessors,
        'Win32_Processor.NumberOfLogicalProcessors',
      ),
      performanceCores: absent('the kinds of cores'),
      efficiencyCores: absent('the kinds of cores'),
      // llama.cpp v0.5.0, common/common.cpp, counts the physical cores on Windows, whatever their kind.
      engineDefaultThreads: cores,
      features: absent('instruction sets'),
      l1dTotalBytes: absent('the level 1 cache'),
      l2TotalBytes: scaled(
        sumOf((processor) => processor.L2CacheSize, 'Win32_Processor.L2CacheSize'),
        KIB,
      ),
      l3TotalBytes: scaled(
        sumOf((processor) => processor.L3CacheSize, 'Win32_Processor.L3CacheSize'),
        KIB,
      ),
      maxFrequencyHertz: readFrom(
        read('Win32_Processor.MaxClockSpeed', ({ processor }) => processor[0]?.MaxClockSpeed),
        '',
        (megahertz) => hertz(megahertz * 1e6),
      ),
      ...LINUX.scaling,
      boost: absent('whether boost is on'),
      microcode: read('Update Revision', ({ microcode }) => microcodeText(microcode)),
    },
    memory: {
      totalBytes: scaled(
        read('Win32_OperatingSystem.TotalVisibleMemorySize', ({ system }) => system?.TotalVisibleMemorySize),
        KIB,
      ),
      availableBytes: scaled(
        read('Win32_OperatingSystem.FreePhysicalMemory', ({ system }) => system?.FreePhysicalMemory),
        KIB,
      ),
      swapTotalBytes: scaled(
        read('Win32_PageFileUsage.AllocatedBaseSize', ({ page }) =>
          sum(page.map((file) => file.AllocatedBaseSize)),
        ),
        MIB,
      ),
      swapFreeBytes: scaled(
        read('Win32_PageFileUsage', ({ page }) =>
          sum(page.map((file) => difference(file.AllocatedBaseSize, file.CurrentUsage))),
        ),
        MIB,
      ),
      ...installedMemory(read('Win32_PhysicalMemory', ({ memory }) => memoryDevices(memory))),
      numaNodes: absent('NUMA nodes'),
    },
    gpus: read('Win32_VideoController', (document) => gpusOf(document)),
    unifiedMemory: {
      unified: unknown('Windows does not tell it; Vulkan does', 'win32'),
      carveOutBytes: absent('the carve-out of an integrated GPU'),
      ...LINUX.gtt,
      wiredLimitBytes: unknown('the wired limit is a matter of macOS', 'win32'),
      gpuUsableBytes: absent('the memory that a GPU may share'),
    },
    ...LINUX.drivers,
    firmware: {
      vendor: read('Win32_BIOS.Manufacturer', ({ bios }) => bios?.Manufacturer),
      version: read('Win32_BIOS.SMBIOSBIOSVersion', ({ bios }) => bios?.SMBIOSBIOSVersion),
      date: read('Win32_BIOS.ReleaseDate', ({ bios }) =>
        typeof bios?.ReleaseDate === 'string' ? parseCimDate(bios.ReleaseDate) : undefined,
      ),
    },
    power: {
      ...LINUX.profiles,
      scheme: parseWindowsScheme(textOf(capture, WINDOWS.powerScheme)),
      lowPowerMode: unknown('the low power mode is a matter of macOS', 'win32'),
      supply: read('Win32_Battery.BatteryStatus', ({ battery }) => supplyOf(battery)),
    },
    limits: {
      hypervisor: read('Win32_ComputerSystem.HypervisorPresent', ({ computer }) =>
        computer?.HypervisorPresent === true
          ? 'present (Windows itself may run on Hyper-V)'
          : computer?.HypervisorPresent === false
            ? 'none'
            : undefined,
      ),
      container: absent('whether this is a container'),
      allowedLogicalCpus: absent('processor affinity'),
      ...LINUX.groups,
    },
    tuning: LINUX.tuning,
  };
}

function sum(values: readonly (number | null | undefined)[]): number | undefined {
  let total = 0;
  for (const value of values) {
    if (value === null || value === undefined) return undefined;
    total += value;
  }
  return values.length === 0 ? undefined : total;
}

function difference(a: number | null | undefined, b: number | null | undefined): number | undefined {
  return typeof a === 'number' && typeof b === 'number' ? a - b : undefined;
}

function scaled(fact: Fact<number>, factor: number) {
  return readFrom(fact, '', (value) => bytes(value * factor));
}

/** Eight bytes of which the upper four are the revision, the lowest byte first. */
function microcodeText(update: readonly number[] | null | undefined): string | undefined {
  if (update?.length !== 8) return undefined;
  const upper = update.slice(4).reverse();
  return `0x${upper.map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

function memoryDevices(modules: CimDocument['memory']): MemoryDevice[] | undefined {
  if (modules.length === 0) return undefined;
  return modules.map((module) => {
    const speed = module.ConfiguredClockSpeed || module.Speed;
    return {
      sizeBytes: typeof module.Capacity === 'number' ? bytes(module.Capacity) : undefined,
      type: memoryTypeName(module.SMBIOSMemoryType ?? undefined),
      transfersPerSecond: typeof speed === 'number' && speed > 0 ? speed * 1e6 : undefined,
      channel: channelName(module.BankLabel ?? undefined, module.DeviceLocator ?? undefined),
    };
  });
}

/** Battery states 1 (discharging), 4 and 5 (low and critical). Source: Microsoft Learn, Win32_Battery. */
const ON_BATTERY = new Set([1, 4, 5]);

function supplyOf(batteries: CimDocument['battery']): string | undefined {
  const states = batteries
    .map((battery) => battery.BatteryStatus)
    .filter((state) => typeof state === 'number');
  if (states.length === 0) return undefined;
  return states.some((state) => ON_BATTERY.has(state)) ? 'battery' : 'mains';
}

function gpusOf({ video, adapter }: CimDocument): Gpu[] {
  return video.flatMap((controller): Gpu[] => {
    // Remote desktop and basic display adapters are no PCI devices.
    const ids = /^PCI\\VEN_([0-9A-F]{4})&DEV_([0-9A-F]{4})/i.exec(controller.PNPDeviceID ?? '');
    if (ids?.[1] === undefined || ids[2] === undefined) return [];
    const source = 'Win32_VideoController';
    const told = (value: string | null | undefined, name: string): Fact<string> =>
      typeof value === 'string' && value !== ''
        ? known(value, `${source}.${name}`)
        : unknown(`no ${name} there`, `${source}.${name}`);
    const registry = adapter.find((entry) => entry.DriverDesc === controller.Name)?.[
      'HardwareInformation.qwMemorySize'
    ];
    const ram = controller.AdapterRAM;
    return [
      {
        ...unknownGpu(absent('this of a GPU')),
        name: told(controller.Name, 'Name'),
        vendor: known(vendorName(ids[1]), `${source}.PNPDeviceID`),
        pciId: known(`${ids[1]}:${ids[2]}`.toLowerCase(), `${source}.PNPDeviceID`),
        driver: told(controller.AdapterCompatibility, 'AdapterCompatibility'),
        driverVersion: told(controller.DriverVersion, 'DriverVersion'),
        memoryTotalBytes: firstKnown(
          typeof registry === 'number'
            ? known(bytes(registry), 'registry: HardwareInformation.qwMemorySize')
            : unknown('does not exist', 'registry: HardwareInformation.qwMemorySize'),
          typeof ram === 'number' && ram > 0 && ram < MAX_ADAPTER_RAM
            ? known(bytes(ram), `${source}.AdapterRAM`)
            : unknown('its 32 bits cannot hold this size', `${source}.AdapterRAM`),
        ),
      },
    ];
  });
}
