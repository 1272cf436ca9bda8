import { findDevice, resolveDevice, type CatalogDevice, type DeviceHints } from '../catalog/index.ts';
import { bytes, formatBytes, type Bytes } from '../units/index.ts';
import { valueOf, type Fact } from './fact.ts';
import type { Gpu, MachineFacts } from './facts.ts';

/** One fact that speaks for or against a match. */
export interface MatchEvidence {
  /** What was compared, and with what: `compute capability 8.9 is sm_89`. */
  readonly text: string;
  /** Where the fact was read. */
  readonly source: string;
  readonly agrees: boolean;
}

/** A part of this machine and the entry of the catalogue that describes it. */
export interface CatalogueMatch {
  readonly part: 'gpu' | 'cpu';
  /** What the machine calls the part. */
  readonly seen: string;
  /** Null: the catalogue has no entry for it, or its name says too little. */
  readonly device: CatalogDevice | null;
  /** `override`: the user named the entry. */
  readonly chosenBy: 'facts' | 'override';
  /** Entries that the name fits as well, and that only their memory or their units tell apart. */
  readonly others: readonly CatalogDevice[];
  readonly evidence: readonly MatchEvidence[];
}

/**
 * Matches the GPUs and the processor of a machine to entries of the catalogue, GPUs first.
 * @param override - an id, name or alias that the user gives for the first GPU, or for the processor where it is one.
 * @throws CatalogNameError when the override names no device.
 */
export function matchCatalogue(
  facts: MachineFacts,
  devices: readonly CatalogDevice[],
  override?: string,
): CatalogueMatch[] {
  const gpus = (valueOf(facts.gpus) ?? []).map((gpu) => matchGpu(gpu, facts, devices));
  const cpu = matchCpu(facts, devices);
  const matches = cpu === null ? gpus : [...gpus, cpu];
  return override === undefined ? matches : withOverride(matches, override, devices);
}

function matchGpu(gpu: Gpu, facts: MachineFacts, devices: readonly CatalogDevice[]): CatalogueMatch {
  const name = valueOf(gpu.name);
  const integrated = valueOf(gpu.integrated) === true;
  const units = valueOf(gpu.coreCount);
  const memoryBytes = integrated ? valueOf(facts.memory.totalBytes) : valueOf(gpu.memoryTotalBytes);
  const hints: DeviceHints = {
    kind: 'gpu',
    ...(units === undefined ? {} : { units }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  };
  // The name of an integrated GPU is shared by several chips; the name of the processor is not.
  const names = integrated ? [facts.cpu.model, gpu.name] : [gpu.name];
  for (const from of names) {
    const text = valueOf(from);
    const found = text === undefined ? null : findDevice(text, devices, hints);
    if (found === null || !sameVendor(gpu, found.device)) continue;
    return {
      part: 'gpu',
      seen: name ?? text ?? '',
      device: found.device,
      chosenBy: 'facts',
      others: found.others,
      evidence: [named(from, found.device), ...gpuEvidence(gpu, facts, found.device, integrated)],
    };
  }
  return {
    part: 'gpu',
    seen: name ?? 'a GPU without a name',
    device: null,
    chosenBy: 'facts',
    others: [],
    evidence: [],
  };
}

/** The processor's name finds the GPU beside it only when both come from one vendor. */
function sameVendor(gpu: Gpu, device: CatalogDevice): boolean {
  const vendor = valueOf(gpu.vendor);
  return vendor === undefined || device.vendor.toLowerCase() === vendor.toLowerCase();
}

function named(from: Fact<string>, device: CatalogDevice): MatchEvidence {
  return {
    text: `'${valueOf(from) ?? ''}' is a name of ${device.id}`,
    source: from.known ? from.source : from.reason,
    agrees: true,
  };
}

/** Drivers keep a part of the memory to themselves, and marketed gigabytes are binary here: 15 % covers both. */
const MEMORY_TOLERANCE = 0.15;

function gpuEvidence(
  gpu: Gpu,
  facts: MachineFacts,
  device: CatalogDevice,
  integrated: boolean,
): MatchEvidence[] {
  const evidence: MatchEvidence[] = [];
  const { computeCapability, coreCount } = gpu;
  if (computeCapability.known && device.target?.startsWith('sm_') === true) {
    const target = `sm_${computeCapability.value.replace('.', '')}`;
    evidence.push({
      text: `compute capability ${computeCapability.value}; the entry has ${device.target}`,
      source: computeCapability.source,
      agrees: target === device.target,
    });
  }
  if (coreCount.known && device.units.count !== null) {
    evidence.push({
      text: `${coreCount.value} units; the entry has ${device.units.count} ${device.units.kind}s`,
      source: coreCount.source,
      agrees: coreCount.value === device.units.count,
    });
  }
  const memory = integrated ? facts.memory.totalBytes : gpu.memoryTotalBytes;
  if (memory.known && memory.value > 0 && device.memory.capacityBytes.length > 0) {
    evidence.push(memoryEvidence(memory.value, memory.source, device));
  }
  return evidence;
}

function memoryEvidence(seen: Bytes, source: string, device: CatalogDevice): MatchEvidence {
  const { capacityBytes } = device.memory;
  const sizes = capacityBytes.map((capacity) => formatBytes(bytes(capacity))).join(', ');
  return {
    text: `${formatBytes(seen)} of memory; the entry has ${sizes}`,
    source,
    agrees: capacityBytes.some(
      (capacity) => seen <= capacity * (1 + MEMORY_TOLERANCE) && seen >= capacity * (1 - MEMORY_TOLERANCE),
    ),
  };
}

function matchCpu(facts: MachineFacts, devices: readonly CatalogDevice[]): CatalogueMatch | null {
  const { model, physicalCores } = facts.cpu;
  if (!model.known) return null;
  const found = findDevice(model.value, devices, { kind: 'cpu' });
  if (found === null) {
    return { part: 'cpu', seen: model.value, device: null, chosenBy: 'facts', others: [], evidence: [] };
  }
  const evidence = [named(model, found.device)];
  const { kind, count } = found.device.units;
  if (physicalCores.known && kind === 'core' && count !== null) {
    evidence.push({
      text: `${physicalCores.value} cores; the entry has ${count}`,
      source: physicalCores.source,
      agrees: physicalCores.value === count,
    });
  }
  return {
    part: 'cpu',
    seen: model.value,
    device: found.device,
    chosenBy: 'facts',
    others: found.others,
    evidence,
  };
}

function withOverride(
  matches: readonly CatalogueMatch[],
  override: string,
  devices: readonly CatalogDevice[],
): CatalogueMatch[] {
  const { device } = resolveDevice(override, devices);
  const part = device.kind === 'cpu' ? 'cpu' : 'gpu';
  const index = matches.findIndex((match) => match.part === part);
  const chosen: CatalogueMatch = {
    part,
    seen: matches[index]?.seen ?? '',
    device,
    chosenBy: 'override',
    others: [],
    evidence: [],
  };
  return index < 0 ? [chosen, ...matches] : matches.with(index, chosen);
}
