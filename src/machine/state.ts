import { valueOf, type Fact } from './fact.ts';
import type { MachineFacts } from './facts.ts';

/** The state of a machine that can change a result: flat, sorted by name, and free of what changes from run to run. */
export type MachineState = Readonly<Record<string, string>>;

/** How an unknown is written; a fact that becomes known later is a change that must be seen. */
const UNKNOWN = 'unknown';

function textOf(fact: Fact<string | number | boolean>): string {
  const value = valueOf(fact);
  return value === undefined ? UNKNOWN : String(value);
}

/**
 * What must be equal for two results to belong to one series. `extra` is what only the caller knows, such as the build
 * of the engine. Memory that is available, clocks and temperatures are circumstances of a run and not part of it.
 */
export function stateOf(facts: MachineFacts, extra: Readonly<Record<string, string>> = {}): MachineState {
  const state: Record<string, string> = {
    'operating system': textOf(facts.os.name),
    kernel: textOf(facts.os.kernel),
    translated: textOf(facts.os.translated),
    'kernel parameters': textOf(facts.tuning.kernelParameters),
    'amdgpu driver': textOf(facts.drivers.amdgpu),
    'nvidia driver': textOf(facts.drivers.nvidia),
    mesa: textOf(facts.drivers.mesa),
    firmware: textOf(facts.firmware.version),
    microcode: textOf(facts.cpu.microcode),
    processor: textOf(facts.cpu.model),
    'logical processors': textOf(facts.cpu.logicalCores),
    governor: textOf(facts.cpu.governor),
    'energy preference': textOf(facts.cpu.energyPreference),
    'scaling driver': textOf(facts.cpu.scalingDriver),
    boost: textOf(facts.cpu.boost),
    'platform profile': textOf(facts.power.platformProfile),
    'power profile': textOf(facts.power.powerProfile),
    'tuned profile': textOf(facts.power.tunedProfile),
    'power scheme': textOf(facts.power.scheme),
    'low power mode': textOf(facts.power.lowPowerMode),
    'power supply': textOf(facts.power.supply),
    'transparent huge pages': textOf(facts.tuning.transparentHugePages),
    'NUMA balancing': textOf(facts.tuning.numaBalancing),
    iommu: textOf(facts.tuning.iommu),
    'memory total bytes': textOf(facts.memory.totalBytes),
    'memory transfers per second': textOf(facts.memory.transfersPerSecond),
    'carve-out bytes': textOf(facts.unifiedMemory.carveOutBytes),
    'GTT limit bytes': textOf(facts.unifiedMemory.gttLimitBytes),
    'wired limit bytes': textOf(facts.unifiedMemory.wiredLimitBytes),
    'allowed logical processors': textOf(facts.limits.allowedLogicalCpus),
    'processor quota': textOf(facts.limits.cpuQuota),
    'memory limit bytes': textOf(facts.limits.memoryLimitBytes),
  };
  for (const [index, gpu] of (valueOf(facts.gpus) ?? []).entries()) {
    const name = `GPU ${index}`;
    state[name] = textOf(gpu.name);
    state[`${name} driver`] = textOf(gpu.driverVersion);
    state[`${name} firmware`] = textOf(gpu.firmware);
    state[`${name} performance level`] = textOf(gpu.performanceLevel);
    state[`${name} power limit watts`] = textOf(gpu.powerLimitWatts);
  }
  for (const [name, value] of Object.entries(facts.environment)) state[`environment ${name}`] = value;
  for (const [name, value] of Object.entries(extra)) state[name] = value;
  return Object.fromEntries(Object.entries(state).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

/** One text for one state: the input of the hash. */
export function canonicalState(state: MachineState): string {
  const names = Object.keys(state).sort();
  return JSON.stringify(names.map((name) => [name, state[name]]));
}

/** What changed from one state to another, in words: `kernel was 6.8.0, is 6.11.0`. Empty when nothing did. */
export function stateDifferences(before: MachineState, after: MachineState): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names.flatMap((name) => {
    const was = before[name];
    const is = after[name];
    if (was === is) return [];
    if (was === undefined) return [`${name} was not set, is ${is}`];
    return is === undefined ? [`${name} was ${was}, is not set`] : [`${name} was ${was}, is ${is}`];
  });
}
