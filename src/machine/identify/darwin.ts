import { bytes, MIB } from '../../units/index.ts';
import { textOf, type Capture } from '../capture.ts';
import { firstKnown, known, readFrom, unknown } from '../fact.ts';
import { parsePairs } from '../parse/lists.ts';
import { parseLowPowerMode, parsePowerSource, parseVmStat, Sysctl } from '../parse/sysctl.ts';
import { parseSystemProfiler } from '../parse/system-profiler.ts';
import { DARWIN } from '../sources.ts';
import { unknownGpu } from './gpus.ts';
import { factsOfLinuxAlone } from './linux-alone.ts';
import type { PlatformFacts } from './platform.ts';

const absent = (what: string) => unknown(`macOS does not tell ${what}`, 'darwin');
const LINUX = factsOfLinuxAlone('darwin');

/** The facts of a Mac. */
export function identifyDarwin(capture: Capture): PlatformFacts {
  const sysctl = new Sysctl(textOf(capture, DARWIN.sysctl));
  const profile = parseSystemProfiler(textOf(capture, DARWIN.systemProfiler));
  const software = textOf(capture, DARWIN.softwareVersion);
  const swap = sysctl.swap();
  const appleSilicon = readFrom(sysctl.text('machdep.cpu.brand_string'), '', (brand) =>
    brand.startsWith('Apple'),
  );
  const wired = readFrom(
    sysctl.count('iogpu.wired_limit_mb'),
    '',
    (mebibytes) => {
      // 0 is the default of the system: about two thirds to three quarters of memory, which only Metal tells exactly.
      return mebibytes === 0 ? undefined : bytes(mebibytes * MIB);
    },
    'is 0: the default of the system applies, which the engine reads from Metal',
  );
  return {
    system: { vendor: known('Apple', 'darwin'), product: firstKnown(profile.model, sysctl.text('hw.model')) },
    os: {
      name: readFrom(software, 'ProductName, ProductVersion', (text) => {
        const pairs = parsePairs(text, ':');
        const parts = [pairs.get('ProductName'), pairs.get('ProductVersion'), pairs.get('BuildVersion')];
        return parts.includes(undefined) ? undefined : `${parts[0]} ${parts[1]} (${parts[2]})`;
      }),
      kernel: readFrom(sysctl.text('kern.osrelease'), '', (release) => `Darwin ${release}`),
      translated: sysctl.flag('sysctl.proc_translated'),
    },
    cpu: {
      model: sysctl.text('machdep.cpu.brand_string'),
      vendor: firstKnown(
        sysctl.text('machdep.cpu.vendor'),
        readFrom(appleSilicon, '', (apple) => (apple ? 'Apple' : undefined)),
      ),
      sockets: sysctl.count('hw.packages'),
      physicalCores: sysctl.count('hw.physicalcpu'),
      logicalCores: sysctl.count('hw.logicalcpu'),
      performanceCores: sysctl.count('hw.perflevel0.physicalcpu'),
      efficiencyCores: sysctl.count('hw.perflevel1.physicalcpu'),
      // llama.cpp v0.5.0, common/common.cpp: the performance cores where there are kinds, else the physical cores.
      engineDefaultThreads: firstKnown(
        sysctl.count('hw.perflevel0.physicalcpu'),
        sysctl.count('hw.physicalcpu'),
      ),
      features: sysctl.features(),
      l1dTotalBytes: sysctl.cacheTotal('l1dcachesize'),
      l2TotalBytes: sysctl.cacheTotal('l2cachesize'),
      l3TotalBytes: sysctl.bytes('hw.l3cachesize'),
      maxFrequencyHertz: absent('the frequency of Apple processors'),
      ...LINUX.scaling,
      boost: absent('whether boost is on'),
      microcode: sysctl.text('machdep.cpu.microcode_version'),
    },
    memory: {
      totalBytes: sysctl.bytes('hw.memsize'),
      availableBytes: parseVmStat(textOf(capture, DARWIN.vmStat)),
      swapTotalBytes: swap.totalBytes,
      swapFreeBytes: swap.freeBytes,
      installedBytes: sysctl.bytes('hw.memsize'),
      type: absent('the type of memory in what is read'),
      transfersPerSecond: absent('the speed of its memory'),
      modules: absent('the modules of its memory'),
      channels: absent('the channels of its memory'),
      numaNodes: absent('NUMA nodes'),
    },
    gpus: readFrom(profile.gpus, '', (gpus) =>
      gpus.map((gpu) => ({
        ...unknownGpu(absent('this of its GPUs')),
        name: told(gpu.name, 'sppci_model'),
        vendor: told<string>(gpu.vendor, 'spdisplays_vendor'),
        integrated:
          gpu.vendor === 'apple'
            ? known(true, 'system_profiler: spdisplays_vendor')
            : unknown('only told for GPUs of Apple', 'system_profiler'),
        driver: known('metal', 'darwin'),
        coreCount: told(gpu.coreCount, 'sppci_cores'),
      })),
    ),
    unifiedMemory: {
      unified: appleSilicon,
      carveOutBytes: unknown('Macs have no carve-out', 'darwin'),
      ...LINUX.gtt,
      wiredLimitBytes: wired,
      gpuUsableBytes: wired,
    },
    ...LINUX.drivers,
    firmware: {
      vendor: known('Apple', 'darwin'),
      version: profile.firmware,
      date: absent('the date of its firmware'),
    },
    power: {
      ...LINUX.profiles,
      scheme: unknown('power schemes are a matter of Windows', 'darwin'),
      lowPowerMode: parseLowPowerMode(textOf(capture, DARWIN.powerSettings)),
      supply: parsePowerSource(textOf(capture, DARWIN.powerSource)),
    },
    limits: {
      hypervisor: readFrom(sysctl.flag('kern.hv_vmm_present'), '', (yes) => (yes ? 'unidentified' : 'none')),
      container: absent('whether this is a container'),
      allowedLogicalCpus: unknown('macOS has no processor affinity', 'darwin'),
      ...LINUX.groups,
    },
    tuning: LINUX.tuning,
  };
}

function told<T>(value: T | undefined, name: string) {
  const source = `system_profiler: ${name}`;
  return value === undefined ? unknown(`no ${name} there`, source) : known(value, source);
}
