import { bytes } from '../../units/index.ts';
import { firstKnown, known, unknown, valueOf, type Fact } from '../fact.ts';
import type { Gpu, VulkanDevice } from '../facts.ts';
import { vendorName } from '../parse/pci.ts';

/**
 * One list of GPUs from what the kernel, nvidia-smi and Vulkan show: a card is the same when its PCI address agrees,
 * and a Vulkan device belongs to the card with its vendor and device id. Software renderers are no GPUs.
 */
export function mergeGpus(
  platform: Fact<Gpu[]>,
  nvidia: Fact<Gpu[]>,
  vulkan: Fact<VulkanDevice[]>,
): Fact<Gpu[]> {
  const fromPlatform = valueOf(platform) ?? [];
  const merged = [...fromPlatform];
  for (const gpu of valueOf(nvidia) ?? []) {
    const same = merged.findIndex((other) => sameCard(other, gpu));
    const other = merged[same];
    if (other === undefined) merged.push(gpu);
    else merged[same] = combine(gpu, other);
  }
  const hardware = (valueOf(vulkan) ?? []).filter((device) => device.type !== 'cpu');
  const named = merged.map((gpu) => {
    const device = hardware.find((candidate) => candidate.id === valueOf(gpu.pciId));
    return device === undefined ? gpu : withVulkan(gpu, device);
  });
  const ids = new Set(merged.map((gpu) => valueOf(gpu.pciId)));
  const isNew = (device: VulkanDevice): boolean =>
    !ids.has(device.id) && !merged.some((gpu) => valueOf(gpu.name) === device.name);
  const seen = new Set<string>();
  for (const device of hardware) {
    if (!isNew(device) || seen.has(`${device.id} ${device.name}`)) continue;
    seen.add(`${device.id} ${device.name}`);
    named.push(gpuOfVulkan(device));
  }
  if (platform.known || nvidia.known || vulkan.known) {
    const sources = [platform, nvidia, vulkan].filter((fact) => fact.known).map((fact) => fact.source);
    return known(named, sources.join(', '));
  }
  return firstKnown(platform, nvidia, unknown(vulkan.reason, vulkan.source));
}

function sameCard(a: Gpu, b: Gpu): boolean {
  const address = valueOf(a.pciAddress);
  if (address !== undefined && address === valueOf(b.pciAddress)) return true;
  const name = valueOf(a.name);
  return address === undefined && name !== undefined && name === valueOf(b.name);
}

/** Each fact from the first card that knows it; sysfs and CIM tell what nvidia-smi does not. */
function combine(first: Gpu, second: Gpu): Gpu {
  return {
    name: firstKnown(first.name, second.name),
    vendor: firstKnown(first.vendor, second.vendor),
    pciId: firstKnown(first.pciId, second.pciId),
    pciAddress: firstKnown(first.pciAddress, second.pciAddress),
    integrated: firstKnown(first.integrated, second.integrated),
    driver: firstKnown(first.driver, second.driver),
    driverVersion: firstKnown(first.driverVersion, second.driverVersion),
    memoryTotalBytes: firstKnown(first.memoryTotalBytes, second.memoryTotalBytes),
    visibleMemoryBytes: firstKnown(first.visibleMemoryBytes, second.visibleMemoryBytes),
    gttTotalBytes: firstKnown(first.gttTotalBytes, second.gttTotalBytes),
    pcieTransfersPerSecond: firstKnown(first.pcieTransfersPerSecond, second.pcieTransfersPerSecond),
    pcieLanes: firstKnown(first.pcieLanes, second.pcieLanes),
    coreCount: firstKnown(first.coreCount, second.coreCount),
    computeCapability: firstKnown(first.computeCapability, second.computeCapability),
    maxClockHertz: firstKnown(first.maxClockHertz, second.maxClockHertz),
    maxMemoryClockHertz: firstKnown(first.maxMemoryClockHertz, second.maxMemoryClockHertz),
    powerLimitWatts: firstKnown(first.powerLimitWatts, second.powerLimitWatts),
    performanceLevel: firstKnown(first.performanceLevel, second.performanceLevel),
    firmware: firstKnown(first.firmware, second.firmware),
    vbios: firstKnown(first.vbios, second.vbios),
  };
}

const VULKAN = 'vulkaninfo --summary';

function withVulkan(gpu: Gpu, device: VulkanDevice): Gpu {
  return {
    ...gpu,
    name: firstKnown(gpu.name, known(device.name, `${VULKAN}: deviceName`)),
    integrated: firstKnown(gpu.integrated, integratedOf(device)),
  };
}

function integratedOf(device: VulkanDevice): Fact<boolean> {
  const source = `${VULKAN}: deviceType`;
  return device.type === 'integrated-gpu' || device.type === 'discrete-gpu'
    ? known(device.type === 'integrated-gpu', source)
    : unknown(`is ${device.type}`, source);
}

function gpuOfVulkan(device: VulkanDevice): Gpu {
  const absent = unknown(
    'the summary of Vulkan does not tell it, and no other source shows this GPU',
    VULKAN,
  );
  return {
    ...unknownGpu(absent),
    name: known(device.name, `${VULKAN}: deviceName`),
    vendor: known(vendorName(device.id.slice(0, device.id.indexOf(':'))), `${VULKAN}: vendorID`),
    pciId: known(device.id, `${VULKAN}: vendorID, deviceID`),
    integrated: integratedOf(device),
    driver: device.driverName,
    driverVersion: device.driverInfo,
  };
}

/** A GPU of which nothing is known, for the platforms to write their facts over. */
export function unknownGpu(absent: Fact<never>): Gpu {
  return {
    name: absent,
    vendor: absent,
    pciId: absent,
    pciAddress: absent,
    integrated: absent,
    driver: absent,
    driverVersion: absent,
    memoryTotalBytes: absent,
    visibleMemoryBytes: absent,
    gttTotalBytes: absent,
    pcieTransfersPerSecond: absent,
    pcieLanes: absent,
    coreCount: absent,
    computeCapability: absent,
    maxClockHertz: absent,
    maxMemoryClockHertz: absent,
    powerLimitWatts: absent,
    performanceLevel: absent,
    firmware: absent,
    vbios: absent,
  };
}

/** The largest memory that a 32-bit AdapterRAM of Windows can state. */
export const MAX_ADAPTER_RAM = bytes(2 ** 32 - 2 ** 20);
