import { textOf, type Capture } from './capture.ts';
import { firstKnown, known, readFrom, unknown, valueOf, type Fact } from './fact.ts';
import type { EngineDevice, MachineFacts, VulkanDevice } from './facts.ts';
import { identifyDarwin } from './identify/darwin.ts';
import { mergeGpus } from './identify/gpus.ts';
import { identifyLinux } from './identify/linux.ts';
import type { PlatformFacts } from './identify/platform.ts';
import { identifyWindows } from './identify/windows.ts';
import { parseNvidiaSmi } from './parse/nvidia-smi.ts';
import { parseVulkanSummary } from './parse/vulkaninfo.ts';
import { COMMON } from './sources.ts';

/** What the caller knows beside the capture: the devices that the engine itself lists. */
export interface IdentifyOptions {
  readonly engineDevices?: readonly EngineDevice[];
}

/**
 * The facts of the machine that a capture was made on. Pure: the same capture gives the same facts everywhere. A
 * platform that is none of Linux, macOS and Windows is read as Linux, whose sources then are unknown one by one.
 */
export function identify(capture: Capture, options: IdentifyOptions = {}): MachineFacts {
  const platform = platformFacts(capture);
  const vulkan = parseVulkanSummary(textOf(capture, COMMON.vulkan));
  const nvidia = parseNvidiaSmi(textOf(capture, COMMON.nvidia));
  const gpus = mergeGpus(platform.gpus, nvidia, vulkan.devices);
  const { amdgpuDriver, nvidiaModule, ...own } = platform;
  return {
    schemaVersion: 1,
    kind: 'ridgepoint-machine',
    ...own,
    system: { ...own.system, platform: capture.platform, architecture: capture.architecture },
    gpus,
    vulkan,
    engineDevices:
      options.engineDevices === undefined
        ? unknown('no engine was asked', 'engine')
        : known([...options.engineDevices], 'engine'),
    unifiedMemory: withIntegratedGpu(platform.unifiedMemory, gpus, own.memory.totalBytes),
    drivers: {
      amdgpu: amdgpuDriver,
      nvidia: firstKnown(
        nvidiaModule,
        readFrom(nvidia, 'driver_version', (list) =>
          list[0] === undefined ? undefined : valueOf(list[0].driverVersion),
        ),
      ),
      mesa: mesaVersion(vulkan.devices),
    },
    environment: { ...capture.environment },
  };
}

function platformFacts(capture: Capture): PlatformFacts {
  switch (capture.platform) {
    case 'darwin':
      return identifyDarwin(capture);
    case 'win32':
      return identifyWindows(capture);
    default:
      return identifyLinux(capture);
  }
}

/**
 * Where the platform could not tell whether memory is unified, a GPU of nvidia-smi or Vulkan may. Coherent NVIDIA
 * systems allocate from all of the processor's memory. Source: NVIDIA, DGX Spark user guide, unified memory.
 */
function withIntegratedGpu(
  own: MachineFacts['unifiedMemory'],
  gpus: MachineFacts['gpus'],
  memory: MachineFacts['memory']['totalBytes'],
): MachineFacts['unifiedMemory'] {
  const list = valueOf(gpus) ?? [];
  const told = list.map((gpu) => gpu.integrated).filter((fact) => fact.known);
  const coherent = list.find((gpu) => valueOf(gpu.vendor) === 'nvidia' && valueOf(gpu.integrated) === true);
  const first = told.find((fact) => fact.value) ?? (told.length === list.length ? told[0] : undefined);
  return {
    ...own,
    unified: first === undefined ? own.unified : firstKnown(own.unified, first),
    gpuUsableBytes:
      coherent === undefined || own.gpuUsableBytes.known
        ? own.gpuUsableBytes
        : readFrom(memory, 'shared with the GPU', (total) => total),
  };
}

function mesaVersion(devices: Fact<VulkanDevice[]>): Fact<string> {
  return readFrom(
    devices,
    'driverInfo',
    (list) => {
      const versions = list.map((device) => /Mesa (\S+)/.exec(valueOf(device.driverInfo) ?? '')?.[1]);
      return versions.find((version) => version !== undefined);
    },
    'no Vulkan device names a Mesa version',
  );
}
