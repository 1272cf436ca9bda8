import type { Request } from './capture.ts';
import {
  condenseCpuinfo,
  keepDmiFormattedArea,
  keepJsonKeys,
  keepKernelParameters,
  linesThat,
} from './privacy.ts';

const file = (path: string, filter?: (text: string) => string): Request =>
  filter === undefined ? { kind: 'file', path } : { kind: 'file', path, filter };
const files = (pattern: string): Request => ({ kind: 'files', pattern });
const command = (
  name: string,
  file: string,
  args: readonly string[],
  filter?: (text: string) => string,
): Request =>
  filter === undefined
    ? { kind: 'command', name, file, args }
    : { kind: 'command', name, file, args, filter };
const controlGroup = (controller: string, name: string): Request => ({
  kind: 'control-group',
  controller,
  file: name,
});

const CPU = '/sys/devices/system/cpu';
const GPU = '/sys/class/drm/card<n>/device';
const DMI = '/sys/class/dmi/id';

/** Read on every platform. */
export const COMMON = {
  nvidia: command('nvidia-smi --query-gpu', 'nvidia-smi', [
    '--query-gpu=index,name,pci.bus_id,pci.device_id,driver_version,vbios_version,memory.total,compute_cap,pcie.link.gen.max,pcie.link.width.max,power.limit,power.default_limit,clocks.max.sm,clocks.max.memory,persistence_mode',
    '--format=csv',
  ]),
  vulkan: command(
    'vulkaninfo --summary',
    'vulkaninfo',
    ['--summary'],
    linesThat(
      /^(Vulkan Instance Version|GPU\d+:|\s+(apiVersion|driverVersion|vendorID|deviceID|deviceType|deviceName|driverID|driverName|driverInfo)\s*=)/,
    ),
  ),
} as const;

/** Where Linux tells about the machine; all of it is readable without privileges but the last of `LINUX.dmi*`. */
export const LINUX = {
  ...COMMON,
  cpuinfo: file('/proc/cpuinfo', condenseCpuinfo),
  meminfo: file('/proc/meminfo'),
  osRelease: file('/etc/os-release', linesThat(/^(NAME|VERSION|VERSION_ID|PRETTY_NAME|ID|VARIANT)=/)),
  kernelRelease: file('/proc/sys/kernel/osrelease'),
  kernelCommandLine: file('/proc/cmdline', keepKernelParameters),
  onlineCpus: file(`${CPU}/online`),
  threadSiblings: files(`${CPU}/cpu<n>/topology/thread_siblings_list`),
  packages: files(`${CPU}/cpu<n>/topology/physical_package_id`),
  cacheLevels: files(`${CPU}/cpu<n>/cache/index<n>/level`),
  cacheTypes: files(`${CPU}/cpu<n>/cache/index<n>/type`),
  cacheSizes: files(`${CPU}/cpu<n>/cache/index<n>/size`),
  cacheSharing: files(`${CPU}/cpu<n>/cache/index<n>/shared_cpu_list`),
  performanceCpus: file('/sys/devices/cpu_core/cpus'),
  efficiencyCpus: file('/sys/devices/cpu_atom/cpus'),
  maxFrequencies: files(`${CPU}/cpufreq/policy<n>/cpuinfo_max_freq`),
  governors: files(`${CPU}/cpufreq/policy<n>/scaling_governor`),
  scalingDrivers: files(`${CPU}/cpufreq/policy<n>/scaling_driver`),
  energyPreferences: files(`${CPU}/cpufreq/policy<n>/energy_performance_preference`),
  boost: file(`${CPU}/cpufreq/boost`),
  noTurbo: file(`${CPU}/intel_pstate/no_turbo`),
  numaNodes: file('/sys/devices/system/node/online'),
  numaBalancing: file('/proc/sys/kernel/numa_balancing'),
  hugePages: file('/sys/kernel/mm/transparent_hugepage/enabled'),
  swappiness: file('/proc/sys/vm/swappiness'),
  iommuTypes: files('/sys/kernel/iommu_groups/<n>/type'),
  dmiSystemVendor: file(`${DMI}/sys_vendor`),
  dmiProduct: file(`${DMI}/product_name`),
  dmiBiosVendor: file(`${DMI}/bios_vendor`),
  dmiBiosVersion: file(`${DMI}/bios_version`),
  dmiBiosDate: file(`${DMI}/bios_date`),
  deviceTreeModel: file('/sys/firmware/devicetree/base/model'),
  memoryDevices: command(
    'udevadm info',
    'udevadm',
    ['info', '-q', 'property', '-p', '/sys/devices/virtual/dmi/id'],
    linesThat(
      /^MEMORY_(ARRAY_NUM_DEVICES|DEVICE_\d+_(PRESENT|SIZE|TYPE|SPEED_MTS|CONFIGURED_SPEED_MTS|DATA_WIDTH|LOCATOR|BANK_LOCATOR))=/,
    ),
  ),
  memoryDevicesRaw: {
    kind: 'files',
    pattern: '/sys/firmware/dmi/entries/17-<n>/raw',
    binary: true,
    filter: keepDmiFormattedArea,
  },
  gpuVendors: files(`${GPU}/vendor`),
  gpuDevices: files(`${GPU}/device`),
  gpuEvents: files(`${GPU}/uevent`),
  gpuVram: files(`${GPU}/mem_info_vram_total`),
  gpuVisibleVram: files(`${GPU}/mem_info_vis_vram_total`),
  gpuGtt: files(`${GPU}/mem_info_gtt_total`),
  gpuLinkSpeeds: files(`${GPU}/max_link_speed`),
  gpuLinkWidths: files(`${GPU}/max_link_width`),
  gpuPerformanceLevels: files(`${GPU}/power_dpm_force_performance_level`),
  gpuFirmware: files(`${GPU}/fw_version/*_fw_version`),
  gpuVbios: files(`${GPU}/vbios_version`),
  gpuPowerCaps: files(`${GPU}/hwmon/hwmon<n>/power1_cap`),
  amdgpuVersion: file('/sys/module/amdgpu/version'),
  amdgpuParameters: files('/sys/module/amdgpu/parameters/*'),
  ttmPagesLimit: file('/sys/module/ttm/parameters/pages_limit'),
  ttmPagePool: file('/sys/module/ttm/parameters/page_pool_size'),
  nvidiaModule: file('/sys/module/nvidia/version'),
  pageSize: command('getconf PAGESIZE', 'getconf', ['PAGESIZE']),
  platformProfile: file('/sys/firmware/acpi/platform_profile'),
  powerProfile: command('powerprofilesctl get', 'powerprofilesctl', ['get']),
  tunedProfile: file('/etc/tuned/active_profile'),
  supplyTypes: files('/sys/class/power_supply/*/type'),
  supplyOnline: files('/sys/class/power_supply/*/online'),
  supplyStatus: files('/sys/class/power_supply/*/status'),
  hypervisorType: file('/sys/hypervisor/type'),
  containerMarker: file('/run/systemd/container'),
  dockerMarker: file('/.dockerenv'),
  podmanMarker: file('/run/.containerenv', () => ''),
  allowedCpus: file('/proc/self/status', linesThat(/^Cpus_allowed_list:/)),
  cpuMax: controlGroup('', 'cpu.max'),
  memoryMax: controlGroup('', 'memory.max'),
  cpuQuotaV1: controlGroup('cpu', 'cpu.cfs_quota_us'),
  cpuPeriodV1: controlGroup('cpu', 'cpu.cfs_period_us'),
  memoryLimitV1: controlGroup('memory', 'memory.limit_in_bytes'),
} as const satisfies Record<string, Request>;

const SYSTEM_PROFILER_KEYS = new Set([
  'SPHardwareDataType',
  'SPDisplaysDataType',
  'chip_type',
  'machine_model',
  'machine_name',
  'boot_rom_version',
  'sppci_model',
  'sppci_cores',
  'spdisplays_vendor',
]);

/** Where macOS tells about the machine. */
export const DARWIN = {
  sysctl: command(
    'sysctl',
    '/usr/sbin/sysctl',
    [
      'hw',
      'machdep.cpu',
      'vm.swapusage',
      'kern.osrelease',
      'iogpu',
      'sysctl.proc_translated',
      'kern.hv_vmm_present',
    ],
    linesThat(
      /^(hw\.|machdep\.cpu\.|vm\.swapusage|kern\.osrelease|kern\.hv_vmm_present|iogpu\.|sysctl\.proc_translated)/,
    ),
  ),
  systemProfiler: command(
    'system_profiler',
    '/usr/sbin/system_profiler',
    ['-json', 'SPHardwareDataType', 'SPDisplaysDataType'],
    keepJsonKeys(SYSTEM_PROFILER_KEYS),
  ),
  softwareVersion: command('sw_vers', '/usr/bin/sw_vers', []),
  vmStat: command('vm_stat', '/usr/bin/vm_stat', []),
  powerSettings: command(
    'pmset -g',
    '/usr/bin/pmset',
    ['-g'],
    linesThat(/^\s*(lowpowermode|powermode|highpowermode)\s/),
  ),
  powerSource: command('pmset -g batt', '/usr/bin/pmset', ['-g', 'batt'], linesThat(/^Now drawing from/)),
} as const satisfies Record<string, Request>;

/**
 * The PowerShell script that reads Windows: properties are chosen one by one, so that no serial number, user or host
 * name is ever read. The display driver's registry key holds the memory size that the 32-bit AdapterRAM cannot.
 */
const WINDOWS_SCRIPT = [
  "$ErrorActionPreference='SilentlyContinue'",
  "$class='HKLM:\\SYSTEM\\CurrentControlSet\\Control\\Class\\{4d36e968-e325-11ce-bfc1-08002be10318}\\0*'",
  '[pscustomobject]@{',
  'processor=@(Get-CimInstance Win32_Processor|Select-Object Name,Manufacturer,NumberOfCores,NumberOfLogicalProcessors,MaxClockSpeed,L2CacheSize,L3CacheSize)',
  'memory=@(Get-CimInstance Win32_PhysicalMemory|Select-Object Capacity,Speed,ConfiguredClockSpeed,SMBIOSMemoryType,DeviceLocator,BankLabel,DataWidth)',
  'video=@(Get-CimInstance Win32_VideoController|Select-Object Name,AdapterCompatibility,AdapterRAM,DriverVersion,PNPDeviceID)',
  "adapter=@(Get-ItemProperty $class|Select-Object DriverDesc,'HardwareInformation.qwMemorySize')",
  'system=Get-CimInstance Win32_OperatingSystem|Select-Object Caption,Version,OSArchitecture,TotalVisibleMemorySize,FreePhysicalMemory',
  'page=@(Get-CimInstance Win32_PageFileUsage|Select-Object AllocatedBaseSize,CurrentUsage)',
  'computer=Get-CimInstance Win32_ComputerSystem|Select-Object Manufacturer,Model,HypervisorPresent',
  'bios=Get-CimInstance Win32_BIOS|Select-Object Manufacturer,SMBIOSBIOSVersion,ReleaseDate',
  'battery=@(Get-CimInstance Win32_Battery|Select-Object BatteryStatus)',
  "microcode=(Get-ItemProperty 'HKLM:\\HARDWARE\\DESCRIPTION\\System\\CentralProcessor\\0').'Update Revision'",
  '}|ConvertTo-Json -Depth 4 -Compress',
];

/** Removes the instance part of a device path, which may hold a serial number. */
function keepDevicePaths(text: string): string {
  return text.replaceAll(/("PNPDeviceID":"[A-Z]+\\\\[^"\\]+)[^"]*"/g, '$1"');
}

/** Where Windows tells about the machine. */
export const WINDOWS = {
  cim: command(
    'PowerShell Get-CimInstance',
    'powershell.exe',
    ['-NoProfile', '-NonInteractive', '-Command', WINDOWS_SCRIPT.join(';').replace('{;', '{')],
    keepDevicePaths,
  ),
  powerScheme: command('powercfg /getactivescheme', 'powercfg.exe', ['/getactivescheme'], (text) =>
    // The id of a built-in scheme is the same on every machine; the name that follows is localised or the user's.
    (/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/i.exec(text)?.[0] ?? '').replaceAll('-', ' '),
  ),
} as const satisfies Record<string, Request>;

/** All that is read on a platform; an unknown one gives what works everywhere. */
export function requestsFor(platform: string): readonly Request[] {
  switch (platform) {
    case 'linux':
      return Object.values(LINUX);
    case 'darwin':
      return [...Object.values(DARWIN), ...Object.values(COMMON)];
    case 'win32':
      return [...Object.values(WINDOWS), ...Object.values(COMMON)];
    default:
      return Object.values(COMMON);
  }
}
