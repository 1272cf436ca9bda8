import type { PlacedBytes } from '../model/index.ts';
import { bytes, MIB, type Bytes } from '../units/index.ts';
import { systemReserve, type MemoryBudget, type MemorySplit, type SharedSetting } from './memory-budget.ts';

/** Whether something fits: `starves` is a fit that leaves the rest of the system too little. */
export type FitVerdict = 'fits' | 'starves' | 'does-not-fit';

/** How one division of shared memory takes a model. */
export interface SplitVerdict {
  readonly verdict: FitVerdict;
  /** What the GPU may address in all. */
  readonly addressableBytes: Bytes;
  /** What the system has left beside the model; negative: too little by this much. */
  readonly systemLeftBytes: number;
}

/** How a machine takes a model with the memory divided as it is, and what would have to be set. */
export interface SharedFit {
  readonly setting: SharedSetting;
  readonly verdict: FitVerdict;
  /** Whether the largest mix that some division has room for fits this one; null: there is none. */
  readonly holdsLargestMix: boolean | null;
  /** null: needless, or nothing would do. */
  readonly remedies: SharedRemedies | null;
}

/** Settings of which one suffices: the smallest value of each; null: there is none, or none suffices. */
export interface SharedRemedies {
  /** Set in the firmware, with the system's default limit beside it. */
  readonly carveOutBytes: Bytes | null;
  /** Whether every larger carve-out suffices too. */
  readonly isLargerCarveOutEnough: boolean;
  /** Pages on Linux's command line, with the carve-out as it is. */
  readonly ttmLimitPages: number | null;
  /** A sysctl of macOS. */
  readonly iogpuLimitMib: number | null;
}

/** What `ttm.pages_limit` counts: `PAGE_SIZE` of x86-64 (arch/x86/include/asm/page_types.h). */
const PAGE_BYTES = 4096;

type SharedBudget = Extract<MemoryBudget, { kind: 'shared' }>;

/**
 * The verdict on the division that the machine has; null where it has none.
 * @param largestMix - what the largest mix takes that some division has room for; null: there is none.
 */
export function sharedFit(
  budget: SharedBudget,
  placed: PlacedBytes,
  largestMix: PlacedBytes | null,
): SharedFit | null {
  const { splits, setting } = budget;
  const [current] = splits;
  if (current === undefined) return null;
  const { verdict } = judgeSplit(current, placed);
  return {
    setting,
    verdict,
    holdsLargestMix: largestMix === null ? null : judgeSplit(current, largestMix).verdict === 'fits',
    remedies: verdict === 'fits' ? null : remediesOf(budget, current, placed),
  };
}

function remediesOf(
  { splits, raisedBy }: SharedBudget,
  current: MemorySplit,
  placed: PlacedBytes,
): SharedRemedies | null {
  const larger = splits.filter(
    ({ isDefaultLimit, carveOutBytes }) => isDefaultLimit && carveOutBytes > current.carveOutBytes,
  );
  const enough = larger.map((split) => judgeSplit(split, placed).verdict === 'fits');
  const first = enough.indexOf(true);
  const limitIn = (unitBytes: number): number | null => {
    const units = Math.ceil((placed.deviceBytes - current.carveOutBytes) / unitBytes);
    const raised = { ...current, sharedLimitBytes: bytes(units * unitBytes) };
    return judgeSplit(raised, placed).verdict === 'fits' ? units : null;
  };
  const remedies = {
    carveOutBytes: larger[first]?.carveOutBytes ?? null,
    isLargerCarveOutEnough: first >= 0 && enough.slice(first).every(Boolean),
    ttmLimitPages: raisedBy === 'ttm.pages_limit' ? limitIn(PAGE_BYTES) : null,
    iogpuLimitMib: raisedBy === 'iogpu.wired_limit_mb' ? limitIn(MIB) : null,
  };
  const { carveOutBytes, ttmLimitPages, iogpuLimitMib } = remedies;
  return carveOutBytes === null && ttmLimitPages === null && iogpuLimitMib === null ? null : remedies;
}

/** The carve-out is filled first, then the memory that the system shares; what is left is the system's. */
export function judgeSplit(split: MemorySplit, placed: PlacedBytes): SplitVerdict {
  const addressable = bytes(split.carveOutBytes + split.sharedLimitBytes);
  const shared = Math.max(0, placed.deviceBytes - split.carveOutBytes);
  const systemLeft = split.systemBytes - shared - placed.hostBytes;
  return {
    verdict: judgeRoom(
      systemLeft,
      systemReserve(split.carveOutBytes + split.systemBytes),
      placed.deviceBytes <= addressable,
    ),
    addressableBytes: addressable,
    systemLeftBytes: systemLeft,
  };
}

export function judgeRoom(systemLeft: number, reserve: number, fitsDevice: boolean): FitVerdict {
  if (!fitsDevice || systemLeft < 0) return 'does-not-fit';
  return systemLeft < reserve ? 'starves' : 'fits';
}
