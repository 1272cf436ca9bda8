import { bytes, MIB, type Bytes } from '../../units/index.ts';
import { filesOf, keyOf, lineOf, textOf, type Capture } from '../capture.ts';
import { firstKnown, known, readFrom, unknown, valueOf, type Fact } from '../fact.ts';
import type { Gpu, MachineFacts } from '../facts.ts';
import {
  agreedText,
  cacheTotal,
  coreKinds,
  countDistinct,
  highestFrequency,
  textsOf,
} from '../parse/cpu-topology.ts';
import { parseCpuQuota, parseMemoryLimit } from '../parse/cgroup.ts';
import { installedMemory, parseRawMemory, parseUdevMemory } from '../parse/dmi.ts';
import { parseCount, parseCpuList, parsePairs } from '../parse/lists.ts';
import { bracketedChoice, parsePowerSupply } from '../parse/power-profile.ts';
import { parseCpuinfo } from '../parse/proc-cpuinfo.ts';
import { parseMeminfo } from '../parse/proc-meminfo.ts';
import { parseSysfsGpus } from '../parse/sysfs-drm.ts';
import { LINUX } from '../sources.ts';
import type { PlatformFacts } from './platform.ts';

/** The facts of a Linux machine but for what nvidia-smi and Vulkan add on every platform. */
export function identifyLinux(capture: Capture): PlatformFacts {
  const cpuinfo = parseCpuinfo(textOf(capture, LINUX.cpuinfo));
  const gpus = parseSysfsGpus(capture);
  return {
    system: {
      vendor: lineOf(capture, LINUX.dmiSystemVendor),
      product: firstKnown(
        lineOf(capture, LINUX.dmiProduct),
        // Device tree strings end with a NUL.
        readFrom(lineOf(capture, LINUX.deviceTreeModel), '', (text) => text.replaceAll('\0', '')),
      ),
    },
    os: {
      name: readFrom(textOf(capture, LINUX.osRelease), 'PRETTY_NAME', (text) =>
        parsePairs(text, '=').get('PRETTY_NAME')?.replaceAll('"', ''),
      ),
      kernel: lineOf(capture, LINUX.kernelRelease),
      translated: unknown('Rosetta is a matter of macOS', 'linux'),
    },
    cpu: cpuFacts(capture, cpuinfo),
    memory: {
      ...parseMeminfo(textOf(capture, LINUX.meminfo)),
      ...installedMemory(
        parseUdevMemory(textOf(capture, LINUX.memoryDevices)),
        parseRawMemory(filesOf(capture, LINUX.memoryDevicesRaw)),
      ),
      numaNodes: readFrom(lineOf(capture, LINUX.numaNodes), '', (text) => parseCpuList(text)?.length),
    },
    gpus,
    unifiedMemory: unifiedMemory(capture, gpus),
    amdgpuDriver: firstKnown(
      lineOf(capture, LINUX.amdgpuVersion),
      readFrom(
        lineOf(capture, LINUX.kernelRelease),
        '',
        (release) => {
          const used = valueOf(gpus)?.some((gpu) => valueOf(gpu.driver) === 'amdgpu') ?? false;
          return used ? `in kernel ${release}` : undefined;
        },
        'no GPU uses the amdgpu driver',
      ),
    ),
    nvidiaModule: lineOf(capture, LINUX.nvidiaModule),
    firmware: {
      vendor: lineOf(capture, LINUX.dmiBiosVendor),
      version: lineOf(capture, LINUX.dmiBiosVersion),
      date: lineOf(capture, LINUX.dmiBiosDate),
    },
    power: {
      platformProfile: lineOf(capture, LINUX.platformProfile),
      powerProfile: lineOf(capture, LINUX.powerProfile),
      tunedProfile: lineOf(capture, LINUX.tunedProfile),
      scheme: unknown('power schemes are a matter of Windows', 'linux'),
      lowPowerMode: unknown('the low power mode is a matter of macOS', 'linux'),
      supply: parsePowerSupply(
        filesOf(capture, LINUX.supplyTypes),
        filesOf(capture, LINUX.supplyOnline),
        filesOf(capture, LINUX.supplyStatus),
      ),
    },
    limits: {
      hypervisor: firstKnown(
        lineOf(capture, LINUX.hypervisorType),
        hypervisorFrom(cpuinfo.virtualized, lineOf(capture, LINUX.dmiSystemVendor)),
      ),
      container: containerOf(capture),
      allowedLogicalCpus: readFrom(textOf(capture, LINUX.allowedCpus), 'Cpus_allowed_list', (text) => {
        const list = parsePairs(text, ':').get('Cpus_allowed_list');
        return list === undefined ? undefined : parseCpuList(list)?.length;
      }),
      cpuQuota: parseCpuQuota(
        filesOf(capture, LINUX.cpuMax),
        filesOf(capture, LINUX.cpuQuotaV1),
        filesOf(capture, LINUX.cpuPeriodV1),
      ),
      memoryLimitBytes: parseMemoryLimit(
        filesOf(capture, LINUX.memoryMax),
        filesOf(capture, LINUX.memoryLimitV1),
      ),
    },
    tuning: {
      transparentHugePages: bracketedChoice(textOf(capture, LINUX.hugePages)),
      numaBalancing: lineOf(capture, LINUX.numaBalancing),
      swappiness: lineOf(capture, LINUX.swappiness),
      iommu: iommuOf(capture),
      kernelParameters: readFrom(textOf(capture, LINUX.kernelCommandLine), '', (text) => text.trim()),
      amdgpuParameters: readFrom(filesOf(capture, LINUX.amdgpuParameters), '', (files) =>
        Object.fromEntries(
          [...textsOf(known(files, ''))]
            .map(([path, value]): [string, string] => [path.slice(path.lastIndexOf('/') + 1), value])
            .sort(([a], [b]) => (a < b ? -1 : 1)),
        ),
      ),
      ttmPagePoolSize: lineOf(capture, LINUX.ttmPagePool),
    },
  };
}

function cpuFacts(capture: Capture, cpuinfo: ReturnType<typeof parseCpuinfo>): MachineFacts['cpu'] {
  const siblings = filesOf(capture, LINUX.threadSiblings);
  const online = lineOf(capture, LINUX.onlineCpus);
  const cache = (level: number): Fact<Bytes> =>
    cacheTotal(
      level,
      filesOf(capture, LINUX.cacheLevels),
      filesOf(capture, LINUX.cacheTypes),
      filesOf(capture, LINUX.cacheSizes),
      filesOf(capture, LINUX.cacheSharing),
    );
  return {
    model: cpuinfo.model,
    vendor: cpuinfo.vendor,
    sockets: countDistinct(filesOf(capture, LINUX.packages)),
    physicalCores: countDistinct(siblings),
    logicalCores: readFrom(online, '', (text) => parseCpuList(text)?.length),
    ...coreKinds(
      online,
      lineOf(capture, LINUX.performanceCpus),
      lineOf(capture, LINUX.efficiencyCpus),
      siblings,
    ),
    features: cpuinfo.features,
    l1dTotalBytes: cache(1),
    l2TotalBytes: cache(2),
    l3TotalBytes: cache(3),
    maxFrequencyHertz: highestFrequency(filesOf(capture, LINUX.maxFrequencies)),
    governor: agreedText(filesOf(capture, LINUX.governors)),
    energyPreference: agreedText(filesOf(capture, LINUX.energyPreferences)),
    scalingDriver: agreedText(filesOf(capture, LINUX.scalingDrivers)),
    boost: firstKnown(
      readFrom(lineOf(capture, LINUX.boost), '', flagOf),
      readFrom(lineOf(capture, LINUX.noTurbo), '', (text) => {
        const off = flagOf(text);
        return off === undefined ? undefined : !off;
      }),
    ),
    microcode: cpuinfo.microcode,
  };
}

function flagOf(text: string): boolean | undefined {
  return text === '1' ? true : text === '0' ? false : undefined;
}

/**
 * What the GPU of a unified machine may use. The driver's own total (`mem_info_gtt_total`) is what counts; the module
 * parameter and the kernel command line are what was asked for.
 */
function unifiedMemory(capture: Capture, gpus: Fact<Gpu[]>): PlatformFacts['unifiedMemory'] {
  const pageSize = readFrom(lineOf(capture, LINUX.pageSize), '', parseCount);
  const integrated = (valueOf(gpus) ?? []).find((gpu) => valueOf(gpu.integrated) === true);
  const none = unknown('no integrated GPU with memory figures was found', keyOf(LINUX.gpuVendors));
  const gtt = integrated?.gttTotalBytes ?? none;
  const carveOut = integrated?.memoryTotalBytes ?? none;
  return {
    unified: readFrom(
      gpus,
      'integrated',
      (all) => {
        const told = all.map((gpu) => valueOf(gpu.integrated));
        if (told.includes(true)) return true;
        return told.length === 0 || told.includes(undefined) ? undefined : false;
      },
      'no GPU tells whether it is integrated',
    ),
    carveOutBytes: carveOut,
    gttLimitBytes: gtt,
    ttmPagesLimitBytes: readFrom(
      lineOf(capture, LINUX.ttmPagesLimit),
      '',
      (text) => {
        const pages = parseCount(text);
        const size = valueOf(pageSize);
        return pages === undefined || size === undefined ? undefined : bytes(pages * size);
      },
      'the limit or the page size is no number',
    ),
    gttSizeParameterBytes: readFrom(
      textOf(capture, LINUX.kernelCommandLine),
      'amdgpu.gttsize',
      (text) => {
        const mebibytes = parseCount(/(?:^|\s)amdgpu\.gttsize=(\d+)/.exec(text)?.[1] ?? '');
        return mebibytes === undefined ? undefined : bytes(mebibytes * MIB);
      },
      'is not set',
    ),
    wiredLimitBytes: unknown('the wired limit is a matter of macOS', 'linux'),
    gpuUsableBytes:
      gtt.known && carveOut.known
        ? known(bytes(gtt.value + carveOut.value), `${gtt.source} + ${carveOut.source}`)
        : unknown('carve-out and GTT limit are not both known', `${gtt.source} + ${carveOut.source}`),
  };
}

/** System vendors that DMI shows inside virtual machines. Source: systemd, src/basic/virt.c. */
const HYPERVISOR_VENDORS: readonly (readonly [RegExp, string])[] = [
  [/QEMU|KVM/, 'kvm'],
  [/VMware/, 'vmware'],
  [/innotek|VirtualBox/i, 'virtualbox'],
  [/Xen/, 'xen'],
  [/Microsoft/, 'hyper-v'],
  [/Amazon EC2/, 'amazon'],
  [/Google/, 'google'],
  [/Parallels/, 'parallels'],
  [/Apple Virtualization/, 'apple'],
];

function hypervisorFrom(virtualized: Fact<boolean>, vendor: Fact<string>): Fact<string> {
  return readFrom(virtualized, '', (yes) => {
    if (!yes) return 'none';
    const name = valueOf(vendor) ?? '';
    return HYPERVISOR_VENDORS.find(([pattern]) => pattern.test(name))?.[1] ?? 'unidentified';
  });
}

function containerOf(capture: Capture): Fact<string> {
  const systemd = lineOf(capture, LINUX.containerMarker);
  if (systemd.known) return systemd;
  const docker = textOf(capture, LINUX.dockerMarker);
  if (docker.known) return known('docker', docker.source);
  const podman = textOf(capture, LINUX.podmanMarker);
  if (podman.known) return known('podman', podman.source);
  return known('none found', [systemd, docker, podman].map((fact) => fact.source).join(', '));
}

/** What the IOMMU does to device memory, from the types of its groups; without groups it is off. */
function iommuOf(capture: Capture): Fact<string> {
  const types = filesOf(capture, LINUX.iommuTypes);
  if (!types.known) {
    return /no file/.test(types.reason)
      ? known('off', `${types.source}: there are no groups`)
      : unknown(types.reason, types.source);
  }
  return readFrom(types, '', () => {
    const texts = [...textsOf(types).values()];
    if (texts.length === 0) return undefined;
    return texts.every((text) => text === 'identity') ? 'passthrough' : 'translated';
  });
}
