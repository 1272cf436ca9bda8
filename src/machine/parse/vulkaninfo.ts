import { known, readFrom, unknown, type Fact } from '../fact.ts';
import type { VulkanDevice } from '../facts.ts';
import { pciNumber } from './pci.ts';
import { parsePairs } from './lists.ts';

const TYPES: Readonly<Record<string, string>> = {
  PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: 'integrated-gpu',
  PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: 'discrete-gpu',
  PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: 'virtual-gpu',
  PHYSICAL_DEVICE_TYPE_CPU: 'cpu',
};

export interface VulkanSummary {
  readonly version: Fact<string>;
  readonly devices: Fact<VulkanDevice[]>;
}

/** Reads `vulkaninfo --summary`; the ids of devices and drivers that it prints are not kept. */
export function parseVulkanSummary(output: Fact<string>): VulkanSummary {
  return {
    version: readFrom(output, 'Vulkan Instance Version', (text) =>
      parsePairs(text, ':').get('Vulkan Instance Version'),
    ),
    devices: readFrom(output, 'devices', (text) =>
      text
        .split(/^GPU\d+:\s*$/m)
        .slice(1)
        .map((block) => deviceOf(parsePairs(block, '='))),
    ),
  };
}

function deviceOf(pairs: ReadonlyMap<string, string>): VulkanDevice {
  const read = (name: string): Fact<string> => {
    const source = `vulkaninfo --summary: ${name}`;
    const value = pairs.get(name);
    return value === undefined || value === '' ? unknown(`no ${name} there`, source) : known(value, source);
  };
  const vendor = pciNumber(pairs.get('vendorID') ?? '') ?? '????';
  const device = pciNumber(pairs.get('deviceID') ?? '') ?? '????';
  return {
    name: pairs.get('deviceName') ?? 'unnamed device',
    type: TYPES[pairs.get('deviceType') ?? ''] ?? 'other',
    id: `${vendor}:${device}`,
    driverName: read('driverName'),
    driverInfo: read('driverInfo'),
    apiVersion: read('apiVersion'),
  };
}
