import { bytes, watts } from '../../units/index.ts';
import { filesOf, type Capture, type Request } from '../capture.ts';
import { known, readFrom, unknown, type Fact } from '../fact.ts';
import type { Gpu } from '../facts.ts';
import { LINUX } from '../sources.ts';
import { parseCount, parseDecimal, parsePairs } from './lists.ts';
import { pciAddress, pciNumber, vendorName } from './pci.ts';

/**
 * Integrated GPUs of AMD by PCI device id: sysfs does not say it of a driver's device. Source: the device list of
 * libdrm (data/amdgpu.ids) and the PCI ID repository.
 */
const AMD_INTEGRATED: ReadonlySet<string> = new Set([
  '15dd',
  '15d8',
  '15e7',
  '1636',
  '1638',
  '164c',
  '164d',
  '164e',
  '1681',
  '15bf',
  '15c8',
  '150e',
  '1586',
  '1114',
  '1506',
  '13c0',
  '1900',
  '1901',
]);

/** The GPUs that a Linux kernel driver shows in /sys/class/drm; display controllers without a PCI vendor are left out. */
export function parseSysfsGpus(capture: Capture): Fact<Gpu[]> {
  const vendors = filesOf(capture, LINUX.gpuVendors);
  return readFrom(vendors, '', (files) =>
    [...files.entries()].flatMap(([path, vendor]) => {
      const card = path.slice(0, path.lastIndexOf('/'));
      const id = vendor.known ? pciNumber(vendor.value) : undefined;
      return id === undefined ? [] : [gpuOf(capture, card, id)];
    }),
  );
}

function gpuOf(capture: Capture, card: string, vendorId: string): Gpu {
  const read = (request: Request, tail: string): Fact<string> => {
    const files = filesOf(capture, request);
    const path = `${card}/${tail}`;
    if (!files.known) return unknown(files.reason, path);
    return files.value.get(path) ?? unknown('does not exist', path);
  };
  const device = readFrom(read(LINUX.gpuDevices, 'device'), '', pciNumber, 'is not a PCI device id');
  const event = read(LINUX.gpuEvents, 'uevent');
  const pairs = event.known ? parsePairs(event.value, '=') : new Map<string, string>();
  const size = (request: Request, tail: string) =>
    readFrom(read(request, tail), '', (text) => {
      const value = parseCount(text);
      return value === undefined ? undefined : bytes(value);
    });
  const vendor = vendorName(vendorId);
  const notHere = (what: string) => unknown(`the kernel does not tell the ${what} of this GPU`, card);
  return {
    name: notHere('name'),
    vendor: known(vendor, `${card}/vendor`),
    pciId: readFrom(device, '', (id) => `${vendorId}:${id}`),
    pciAddress: readFrom(event, 'PCI_SLOT_NAME', () => pciAddress(pairs.get('PCI_SLOT_NAME') ?? '')),
    integrated: integrated(vendor, device),
    driver: readFrom(event, 'DRIVER', () => pairs.get('DRIVER')),
    driverVersion: notHere('driver version'),
    memoryTotalBytes: size(LINUX.gpuVram, 'mem_info_vram_total'),
    visibleMemoryBytes: size(LINUX.gpuVisibleVram, 'mem_info_vis_vram_total'),
    gttTotalBytes: size(LINUX.gpuGtt, 'mem_info_gtt_total'),
    pcieTransfersPerSecond: readFrom(read(LINUX.gpuLinkSpeeds, 'max_link_speed'), '', (text) => {
      const rate = parseDecimal(/^([\d.]+) GT\/s/.exec(text)?.[1] ?? '');
      return rate === undefined ? undefined : rate * 1e9;
    }),
    pcieLanes: readFrom(read(LINUX.gpuLinkWidths, 'max_link_width'), '', (text) => {
      const lanes = parseCount(text);
      // The kernel prints 0 and 255 for a link whose width it does not know.
      return lanes === 0 || lanes === 255 ? undefined : lanes;
    }),
    coreCount: notHere('number of cores'),
    computeCapability: notHere('compute capability'),
    maxClockHertz: notHere('highest clock'),
    maxMemoryClockHertz: notHere('highest memory clock'),
    powerLimitWatts: powerCap(capture, card),
    performanceLevel: readFrom(
      read(LINUX.gpuPerformanceLevels, 'power_dpm_force_performance_level'),
      '',
      (text) => text.trim() || undefined,
    ),
    firmware: firmwareOf(capture, card),
    vbios: readFrom(read(LINUX.gpuVbios, 'vbios_version'), '', (text) => text.trim() || undefined),
  };
}

function integrated(vendor: string, device: Fact<string>): Fact<boolean> {
  if (!device.known) return device;
  if (vendor === 'amd') return known(AMD_INTEGRATED.has(device.value), `${device.source}, by AMD device id`);
  return unknown('the kernel does not tell it', device.source);
}

function powerCap(capture: Capture, card: string): Gpu['powerLimitWatts'] {
  const source = `${card}/hwmon/power1_cap`;
  const files = filesOf(capture, LINUX.gpuPowerCaps);
  if (!files.known) return unknown(files.reason, source);
  const found = [...files.value].find(([path]) => path.startsWith(`${card}/`))?.[1];
  if (found === undefined) return unknown('does not exist', source);
  return readFrom(found, '', (text) => {
    const microwatts = parseCount(text);
    return microwatts === undefined || microwatts === 0 ? undefined : watts(microwatts / 1e6);
  });
}

/** Microcode whose version is known to decide over stability and speed; an all-zero version is one not loaded. */
const FIRMWARE_NAMES = ['mes', 'mes_kiq', 'mec', 'smc', 'rlc', 'imu'];

function firmwareOf(capture: Capture, card: string): Fact<string> {
  const files = filesOf(capture, LINUX.gpuFirmware);
  return readFrom(files, card, (all) => {
    const parts = FIRMWARE_NAMES.flatMap((name) => {
      const fact = all.get(`${card}/fw_version/${name}_fw_version`);
      const version = fact?.known === true ? fact.value.trim() : '';
      return version === '' || /^0x0*$/.test(version) ? [] : [`${name} ${version}`];
    });
    return parts.length === 0 ? undefined : parts.join(', ');
  });
}
