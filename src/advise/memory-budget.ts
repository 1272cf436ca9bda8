import { computesOnCores, type CatalogDevice, type MachineRecord } from '../catalog/index.ts';
import type { Fact, MachineFacts } from '../machine/index.ts';
import type { Placement } from '../model/index.ts';
import { bytes, GIB, MIB, type Bytes } from '../units/index.ts';

/** How the memory that a GPU shares with the processor is divided. */
export interface MemorySplit {
  /** What to set, in the words of the settings. */
  readonly name: string;
  /** Taken from the system at boot, for the GPU alone. */
  readonly carveOutBytes: Bytes;
  /** System memory that the GPU may use beside it (GTT on Linux, "shared GPU memory" on Windows). */
  readonly sharedLimitBytes: Bytes;
  /** The memory that the system sees: all but the carve-out. */
  readonly systemBytes: Bytes;
  /** The limit is the system's own default: nothing but the firmware has to be set. */
  readonly isDefaultLimit: boolean;
}

/** The memory in which a model may lie. */
export type MemoryBudget =
  | { readonly kind: 'processor'; readonly systemBytes: Bytes }
  | {
      readonly kind: 'gpu';
      /** The memory of each. */
      readonly gpus: readonly Bytes[];
      /** null: not known, as for the computers of the catalogue. */
      readonly systemBytes: Bytes | null;
    }
  | {
      readonly kind: 'shared';
      readonly totalBytes: Bytes;
      /** The first is how the machine is; the others are what could be set. */
      readonly splits: readonly MemorySplit[];
      readonly setting: SharedSetting;
      /** What raises the limit of the memory that the GPU shares; null: nothing does, or it is not known. */
      readonly raisedBy: SharedLimit | null;
    };

/** Where the division that a machine has comes from: the defaults of its firmware and system, or what was read. */
export type SharedSetting = 'as delivered' | 'as it is set now';

/**
 * A limit on the memory that a GPU shares: pages on the command line of Linux (`ttm_global_init`,
 * drivers/gpu/drm/ttm/ttm_device.c), MiB as a sysctl of macOS. Windows has none that could be raised.
 */
type SharedLimit = 'ttm.pages_limit' | 'iogpu.wired_limit_mb';

/**
 * What the rest of a large system needs: 4 GiB, the least memory with which Windows 11 is allowed to be sold
 * (learn.microsoft.com, Windows minimum hardware requirements); a Linux desktop with a browser takes about the same.
 */
const SYSTEM_RESERVE = bytes(4 * GIB);

/**
 * The part that is left to the system where it has less than 16 GiB: a quarter. No source names a figure; it is the
 * least that Apple leaves by default (`defaultGpuShare` of its devices), and 2 GiB of a Raspberry Pi with 8.
 */
const RESERVED_FRACTION = 0.25;

/** What is left to the rest of a system with so much memory. */
export const systemReserve = (totalBytes: number): Bytes =>
  bytes(Math.min(SYSTEM_RESERVE, totalBytes * RESERVED_FRACTION));

/** Memory that llama.cpp leaves free on a GPU when it fits a model by itself (`fit_params_target`, common/common.h). */
export const GPU_MARGIN = bytes(GIB);

/** Settings of the firmware of AMD's Ryzen AI Max computers for the memory of the GPU (UMA frame buffer size). */
const CARVE_OUTS: readonly { readonly name: string; readonly bytes: Bytes }[] = [
  { name: '512 MB', bytes: bytes(512 * MIB) },
  ...[32, 48, 64, 96].map((size) => ({ name: `${size} GB`, bytes: bytes(size * GIB) })),
];

/**
 * The part of its memory that Linux lets a GPU map by default: half (`ttm_global_init`,
 * drivers/gpu/drm/ttm/ttm_device.c). Windows shares half as well.
 */
const DEFAULT_SHARED_FRACTION = 0.5;

/** The splits of a computer whose firmware carves the GPU's memory out of the system's. */
export function carveOutSplits(totalBytes: Bytes): MemorySplit[] {
  const reserve = systemReserve(totalBytes);
  return CARVE_OUTS.filter((carveOut) => carveOut.bytes + reserve < totalBytes).flatMap((carveOut) => {
    const systemBytes = bytes(totalBytes - carveOut.bytes);
    const split = { carveOutBytes: carveOut.bytes, systemBytes };
    const half = bytes(systemBytes * DEFAULT_SHARED_FRACTION);
    const most = bytes(systemBytes - reserve);
    return [
      { ...split, name: carveOut.name, sharedLimitBytes: half, isDefaultLimit: true },
      ...(most > half
        ? [{ ...split, name: `${carveOut.name}, GTT raised`, sharedLimitBytes: most, isDefaultLimit: false }]
        : []),
    ];
  });
}

const MAC_LIMIT_RAISED = 'wired limit raised';

/** The one or two ways in which a GPU without a carve-out may use the memory that it shares. */
function limitSplits(totalBytes: Bytes, defaultBytes: Bytes, raisedName: string | null): MemorySplit[] {
  const split = { carveOutBytes: bytes(0), systemBytes: totalBytes };
  const most = bytes(totalBytes - systemReserve(totalBytes));
  return [
    { ...split, name: 'as delivered', sharedLimitBytes: defaultBytes, isDefaultLimit: true },
    ...(raisedName !== null && most > defaultBytes
      ? [{ ...split, name: raisedName, sharedLimitBytes: most, isDefaultLimit: false }]
      : []),
  ];
}

/** The budget of a computer of the catalogue; null where its memory is not known. */
export function budgetOfMachine(machine: MachineRecord, device: CatalogDevice): MemoryBudget | null {
  if (machine.memoryBytes === null) return null;
  return budgetOfDevice(device, bytes(machine.memoryBytes), machine.deviceCount);
}

/**
 * The budget of a device.
 * @param memoryBytes - of all devices together; null: the largest memory with which one is sold.
 */
export function budgetOfDevice(
  device: CatalogDevice,
  memoryBytes: Bytes | null = null,
  devices = 1,
): MemoryBudget | null {
  const total = memoryBytes ?? bytes(Math.max(0, ...device.memory.capacityBytes) * devices);
  if (total === 0) return null;
  if (computesOnCores(device)) return { kind: 'processor', systemBytes: total };
  const { sharedMemory } = device;
  if (sharedMemory === null || device.kind === 'discrete-gpu') {
    const each = bytes(total / devices);
    return { kind: 'gpu', gpus: Array<Bytes>(devices).fill(each), systemBytes: null };
  }
  const setting: SharedSetting = 'as delivered';
  if (device.vendor === 'AMD') {
    const splits = carveOutSplits(total);
    return { kind: 'shared', totalBytes: total, splits, setting, raisedBy: 'ttm.pages_limit' };
  }
  const limit = limitByShare(sharedMemory.defaultGpuShare ?? [], total);
  if (limit !== null) {
    return {
      kind: 'shared',
      totalBytes: total,
      splits: limitSplits(total, limit, MAC_LIMIT_RAISED),
      setting,
      raisedBy: 'iogpu.wired_limit_mb',
    };
  }
  // CUDA on these chips allocates from the one memory, less what the firmware keeps for itself.
  const visible = bytes(Math.min(total, sharedMemory.gpuVisibleBytes ?? total));
  const splits = limitSplits(visible, visible, null);
  return { kind: 'shared', totalBytes: visible, splits, setting, raisedBy: null };
}

type GpuShares = NonNullable<NonNullable<CatalogDevice['sharedMemory']>['defaultGpuShare']>;

/** What a GPU may use by default of so much memory; null: no share of it is known. */
function limitByShare(shares: GpuShares, totalBytes: Bytes): Bytes | null {
  const share = shares.find(({ upToBytes }) => upToBytes === null || totalBytes <= upToBytes);
  return share === undefined ? null : bytes(totalBytes * share.fraction);
}

/** The value of a fact that is known. The types of `machine` alone are imported, so that an answer starts quickly. */
const valueOf = <T>(fact: Fact<T>): T | undefined => (fact.known ? fact.value : undefined);

/**
 * The part of its memory that macOS lets the GPU of a Mac use (`recommendedMaxWorkingSetSize` of Metal) by default: two
 * thirds up to 36 GiB, three quarters above, as `defaultGpuShare` of the catalogue has it. llama.cpp logged 10922.67 MB
 * of 16 GB (github.com/abetlen/llama-cpp-python/issues/687) and 21845.34 MB of 32 GB
 * (github.com/ggml-org/llama.cpp/pull/2011), and of 64 GB about 47 can be had
 * (github.com/ggml-org/llama.cpp/issues/1870). macOS 26 gives a Mac of 128 GB more, 107.5
 * (github.com/antirez/ds4/pull/893), which is not counted on.
 */
const MAC_GPU_SHARES: GpuShares = [
  { upToBytes: bytes(36 * GIB), fraction: 0.667 },
  { upToBytes: null, fraction: 0.75 },
];

const AS_SET: SharedSetting = 'as it is set now';
/** {@link AS_SET}, in a table. */
const NOW = 'now';

/** The memory is divided as was read; beside it, what could be set. */
function sharedBudgetOfFacts({ unifiedMemory, os }: MachineFacts, systemBytes: Bytes): MemoryBudget {
  const isMac = valueOf(os.kernel)?.startsWith('Darwin ') === true;
  const gttLimit = valueOf(unifiedMemory.gttLimitBytes);
  const carveOut = valueOf(unifiedMemory.carveOutBytes) ?? bytes(0);
  const total = bytes(systemBytes + carveOut);
  const now: MemorySplit = {
    name: NOW,
    carveOutBytes: carveOut,
    sharedLimitBytes:
      gttLimit ??
      valueOf(unifiedMemory.gpuUsableBytes) ??
      (isMac ? limitByShare(MAC_GPU_SHARES, systemBytes) : null) ??
      bytes(systemBytes * DEFAULT_SHARED_FRACTION),
    systemBytes,
    isDefaultLimit: true,
  };
  const others = carveOut > 0 ? carveOutSplits(total) : [];
  const most = bytes(Math.max(0, systemBytes - systemReserve(total)));
  const raisedBy = isMac ? 'iogpu.wired_limit_mb' : gttLimit === undefined ? null : 'ttm.pages_limit';
  const raised: MemorySplit = {
    ...now,
    name: isMac ? MAC_LIMIT_RAISED : `${NOW}, GTT raised`,
    sharedLimitBytes: most,
    isDefaultLimit: false,
  };
  const isOffered =
    raisedBy !== null &&
    most > now.sharedLimitBytes &&
    !others.some(({ carveOutBytes }) => carveOutBytes === carveOut);
  return {
    kind: 'shared',
    totalBytes: total,
    splits: [now, ...(isOffered ? [raised] : []), ...others],
    setting: AS_SET,
    raisedBy,
  };
}

/** The budget of the machine that the facts are of; null where its memory could not be read. */
export function budgetOfFacts(facts: MachineFacts): MemoryBudget | null {
  const systemBytes = valueOf(facts.memory.totalBytes) ?? null;
  if (valueOf(facts.unifiedMemory.unified) === true && systemBytes !== null) {
    return sharedBudgetOfFacts(facts, systemBytes);
  }
  const gpus = (valueOf(facts.gpus) ?? []).flatMap((gpu) => {
    const own = valueOf(gpu.memoryTotalBytes) ?? 0;
    // Windows does not tell which GPU is integrated; one without more than the margin has no room for any layer.
    return own <= GPU_MARGIN || valueOf(gpu.integrated) === true ? [] : [bytes(own)];
  });
  if (gpus.length > 0) return { kind: 'gpu', gpus, systemBytes };
  return systemBytes === null ? null : { kind: 'processor', systemBytes };
}

/** The memory of everything that a budget has, in which the system needs its part; null: not known. */
export function systemMemory(budget: MemoryBudget): Bytes | null {
  return budget.kind === 'shared' ? budget.totalBytes : budget.systemBytes;
}

/**
 * The placement with the shares of several GPUs: the engine divides the layers by the memory that each has free, unless
 * it is told how.
 */
export function placedOn(budget: MemoryBudget | null, placement: Placement): Placement {
  if (budget?.kind !== 'gpu' || budget.gpus.length < 2 || placement.deviceShares !== undefined)
    return placement;
  return { ...placement, deviceShares: budget.gpus };
}

/** The budget of the same machine when its processor computes; null: its memory is not known. */
export function budgetOnCores(budget: MemoryBudget | null): MemoryBudget | null {
  const systemBytes = budget === null ? null : systemMemory(budget);
  return systemBytes === null ? null : { kind: 'processor', systemBytes };
}
