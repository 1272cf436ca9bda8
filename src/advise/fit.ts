import {
  COMPUTE_BACKENDS,
  inTypesOfFile,
  leastMemoryOf,
  memoryOf,
  tensorsOf,
  tensorsWithNextTokenLayers,
  weightBytesInMixes,
  type ComputeBackend,
  type ContextMemorySettings,
  type GgufHeader,
  type MemoryBreakdown,
  type MixName,
  type ModelShape,
  type ModelTensor,
  type ModelWeights,
  type PlacedBytes,
  type Placement,
} from '../model/index.ts';
import { bytes, GIB, type Bytes } from '../units/index.ts';
import {
  GPU_MARGIN,
  placedOn,
  systemMemory,
  systemReserve,
  type MemoryBudget,
  type MemorySplit,
} from './memory-budget.ts';
import {
  judgeRoom,
  judgeSplit,
  sharedFit,
  type FitVerdict,
  type SharedFit,
  type SplitVerdict,
} from './shared-fit.ts';

export interface FitRequest {
  readonly shape: ModelShape;
  readonly mix: MixName;
  /** What the file has that is wanted, and whose types are its own; absent: the types follow from the mix. */
  readonly fileTensors?: GgufHeader['tensors'];
  readonly settings: ContextMemorySettings;
  readonly placement: Placement;
  /** null: no machine was asked for, and only the breakdown is wanted. */
  readonly budget: MemoryBudget | null;
  /** Weights of the projector that is loaded beside the model; absent: none is. */
  readonly projectorBytes?: Bytes;
  /** Mixes to look for a larger or smaller one among. */
  readonly mixes: readonly MixName[];
}

/** How one division of shared memory takes the model. */
export interface SplitFit extends SplitVerdict {
  readonly split: MemorySplit;
  /** null: not even the shortest context fits. */
  readonly longestContextTokens: number | null;
}

export interface Fit {
  readonly breakdown: MemoryBreakdown;
  /** Of the best division where memory is shared; null: no machine was asked for. */
  readonly verdict: FitVerdict | null;
  /** Of the division that the machine has; null: its memory is not shared, or no machine was asked for. */
  readonly sharing: SharedFit | null;
  /** What the device has for the model, its margin taken off; of the best split, and of all GPUs together. */
  readonly availableBytes: Bytes | null;
  /** The same of each GPU with memory of its own; null: there are none, or no machine was asked for. */
  readonly eachAvailableBytes: readonly Bytes[] | null;
  readonly splits: readonly SplitFit[];
  /**
   * Weights that were to be on a GPU and stay in the system's memory, since their tensors are larger than a buffer of
   * Vulkan's. Mixes with more of them are not proposed.
   */
  readonly heldBackBytes: Bytes;
  /** The longest context that the model was trained for, of all sequences together: longer ones are not looked for. */
  readonly trainedContextTokens: number;
  /** Up to {@link trainedContextTokens}; null: none fits, or no machine was asked for. */
  readonly longestContextTokens: number | null;
  /** The largest mix that fits at the wanted context; null: none, or no machine was asked for. */
  readonly largestMix: MixName | null;
  /** With fewer layers or experts on the GPU it would fit: how; null: needless, or it would not. */
  readonly partial: PartialPlacement | null;
  /** Where neither a shorter context nor a smaller mix alone would do: both together; null: needless, or none fits. */
  readonly reduced: ReducedFit | null;
}

/** A smaller mix with a context that fits. */
export interface ReducedFit {
  readonly mix: MixName;
  /** The longest that fits. */
  readonly contextTokens: number;
  readonly breakdown: MemoryBreakdown;
}

/** A placement that keeps a part of the model in the system's memory. */
export interface PartialPlacement {
  readonly placement: Placement;
  readonly breakdown: MemoryBreakdown;
}

/** The backend whose buffers a budget is filled with; GPUs of all makers allocate alike, and Vulkan runs on all. */
export const backendOf = (budget: MemoryBudget | null): ComputeBackend =>
  COMPUTE_BACKENDS[budget?.kind === 'processor' ? 'cpu' : 'vulkan'];

/** Contexts are sized in steps of this many tokens, as the engine pads them. */
const CONTEXT_STEP = 256;

/** Says what a model takes and whether a machine has it; or why the engine refuses the settings. */
export function fitModel(request: FitRequest): Fit | { readonly unsupported: string } {
  const { shape, mix, settings, budget, mixes } = request;
  const backend = backendOf(budget);
  const placement = placedOn(budget, request.placement);
  const tensorsIn = settings.draftsFurtherTokens === true ? tensorsWithNextTokenLayers : tensorsOf;
  const weightsOf = (each: MixName): ModelWeights => ({
    shape,
    tensors: tensorsIn(shape, each),
    ...(request.projectorBytes === undefined ? {} : { projectorBytes: request.projectorBytes }),
  });
  const inMix = weightsOf(mix);
  const weights: ModelWeights =
    request.fileTensors === undefined
      ? inMix
      : { ...inMix, tensors: inTypesOfFile(inMix.tensors, request.fileTensors) };
  const weightsIn = (each: MixName): ModelWeights => (each === mix ? weights : weightsOf(each));
  const breakdown = memoryOf(weights, settings, placement, backend);
  if ('unsupported' in breakdown) return breakdown;
  const trainedContextTokens = trainedTokens(shape, settings);
  const none = { splits: [], longestContextTokens: null, largestMix: null, partial: null, reduced: null };
  if (budget === null)
    return {
      breakdown,
      heldBackBytes: heldBackBytes(weights.tensors, placement, backend),
      trainedContextTokens,
      verdict: null,
      sharing: null,
      availableBytes: null,
      eachAvailableBytes: null,
      ...none,
    };
  const accountOf = (each: ModelWeights): ((contextTokens: number) => MemoryBreakdown | null) => {
    const accounted = new Map<number, MemoryBreakdown | null>();
    if (each === weights) accounted.set(settings.contextTokens, breakdown);
    return (contextTokens) => {
      const before = accounted.get(contextTokens);
      if (before !== undefined) return before;
      const context = { ...settings, contextTokens };
      const least = leastMemoryOf(each, context, placement, backend);
      // What does not fit without its compute buffers needs none of them.
      const result =
        'unsupported' in least || fitVerdict(budget, least) !== 'fits'
          ? null
          : memoryOf(each, context, placement, backend);
      const usable = result === null || 'unsupported' in result ? null : result;
      accounted.set(contextTokens, usable);
      return usable;
    };
  };
  const fits = (each: MemoryBreakdown | null): each is MemoryBreakdown =>
    each !== null && fitVerdict(budget, each) === 'fits';
  const at = accountOf(weights);
  const verdict = fitVerdict(budget, breakdown);
  const longestContextTokens = longestContext(trainedContextTokens, (tokens) => fits(at(tokens)));
  const bySize = largestFirst(shape, mixes);
  const heldBack = heldBackBytes(weights.tensors, placement, backend);
  const isCandidate = ({ tensors }: ModelWeights): boolean =>
    heldBackBytes(tensors, placement, backend) <= heldBack;
  const largest = firstOf(bySize, (each) => {
    const candidate = weightsIn(each);
    const other = isCandidate(candidate) ? accountOf(candidate)(settings.contextTokens) : null;
    return fits(other) && needsNoUnknownMemory(budget, other, breakdown)
      ? { mix: each, breakdown: other }
      : null;
  });
  const partial =
    verdict === 'fits' || budget.kind !== 'gpu'
      ? null
      : partialPlacement(weights, settings, request.placement, budget);
  const isStuck = longestContextTokens === null && largest === null && partial === null;
  return {
    breakdown,
    heldBackBytes: heldBack,
    trainedContextTokens,
    verdict,
    sharing: budget.kind === 'shared' ? sharedFit(budget, breakdown, largest?.breakdown ?? null) : null,
    availableBytes: available(budget),
    eachAvailableBytes: budget.kind === 'gpu' ? budget.gpus.map(usableOf) : null,
    splits:
      budget.kind === 'shared'
        ? budget.splits.map((split) => fitSplit(split, breakdown, trainedContextTokens, at))
        : [],
    longestContextTokens,
    largestMix: largest?.mix ?? null,
    partial,
    reduced: isStuck
      ? reduce(
          trainedContextTokens,
          bySize,
          (each) => {
            const candidate = weightsIn(each);
            return isCandidate(candidate) ? accountOf(candidate) : (): null => null;
          },
          fits,
        )
      : null,
  };
}

/** Tensors of layers alone are counted: tables are read by the processor anyway, and no head is as large. */
function heldBackBytes(
  tensors: readonly ModelTensor[],
  { cpuMoeLayers }: Placement,
  { isProcessor, maxTensorBytes }: ComputeBackend,
): Bytes {
  if (isProcessor) return bytes(0);
  return bytes(
    tensors.reduce(
      (sum, { layer, bytes: size }) =>
        layer !== null && layer >= cpuMoeLayers && size > maxTensorBytes ? sum + size : sum,
      0,
    ),
  );
}

/** What nearly every computer with a graphics card has to spare. */
export const SPARE_SYSTEM_BYTES = bytes(4 * GIB);

/**
 * Of a system's memory whose size is not known, no proposal may need noticeably more than what was asked for does.
 * @param wanted - null: nothing was asked for that could be loaded.
 */
export function needsNoUnknownMemory(
  budget: MemoryBudget,
  proposal: PlacedBytes,
  wanted: PlacedBytes | null,
): boolean {
  return (
    systemMemory(budget) !== null ||
    proposal.hostBytes <= Math.max(wanted?.hostBytes ?? 0, SPARE_SYSTEM_BYTES)
  );
}

/** Every sequence may be as long, unless all of them share one cache. */
const trainedTokens = (
  { contextLength }: ModelShape,
  { sequences, unifiedCache }: ContextMemorySettings,
): number => contextLength * (unifiedCache ? 1 : sequences);

/** What the first of some mixes has of which there is anything; null: none has. */
function firstOf<T>(mixes: readonly MixName[], of: (mix: MixName) => T | null): T | null {
  for (const mix of mixes) {
    const found = of(mix);
    if (found !== null) return found;
  }
  return null;
}

/** The largest mix of which any context fits, and the longest that does. */
function reduce(
  trainedContextTokens: number,
  bySize: readonly MixName[],
  accountOf: (mix: MixName) => (contextTokens: number) => MemoryBreakdown | null,
  fits: (each: MemoryBreakdown | null) => each is MemoryBreakdown,
): ReducedFit | null {
  for (const mix of bySize) {
    const at = accountOf(mix);
    if (!fits(at(CONTEXT_STEP))) continue;
    const contextTokens = longestContext(trainedContextTokens, (tokens) => fits(at(tokens)));
    const breakdown = contextTokens === null ? null : at(contextTokens);
    if (contextTokens !== null && breakdown !== null) return { mix, contextTokens, breakdown };
  }
  return null;
}

/** The best verdict that the budget allows. */
export function fitVerdict(budget: MemoryBudget, breakdown: PlacedBytes): FitVerdict {
  switch (budget.kind) {
    case 'processor':
      return judgeRoom(budget.systemBytes - breakdown.totalBytes, reserveOf(budget), true);
    case 'gpu': {
      const reserve = reserveOf(budget);
      return judgeRoom(
        budget.systemBytes === null ? reserve : budget.systemBytes - breakdown.hostBytes,
        reserve,
        breakdown.eachDeviceBytes.every(
          (taken, device) => taken <= usableOf(budget.gpus[device] ?? bytes(0)),
        ),
      );
    }
    case 'shared': {
      const verdicts = new Set(budget.splits.map((split) => judgeSplit(split, breakdown).verdict));
      if (verdicts.has('fits')) return 'fits';
      return verdicts.has('starves') ? 'starves' : 'does-not-fit';
    }
  }
}

/** What is left of a GPU's memory beside its margin. */
const usableOf = (memory: Bytes): Bytes => bytes(Math.max(0, memory - GPU_MARGIN));

/** What the system is left; nothing where its memory is not known. */
const reserveOf = (budget: MemoryBudget): number => systemReserve(systemMemory(budget) ?? 0);

function fitSplit(
  split: MemorySplit,
  breakdown: MemoryBreakdown,
  trainedContextTokens: number,
  at: (contextTokens: number) => MemoryBreakdown | null,
): SplitFit {
  return {
    split,
    ...judgeSplit(split, breakdown),
    longestContextTokens: longestContext(trainedContextTokens, (tokens) => {
      const other = at(tokens);
      return other !== null && judgeSplit(split, other).verdict === 'fits';
    }),
  };
}

/** What the budget has for a model: of shared memory the split with the most. */
function available(budget: MemoryBudget): Bytes {
  switch (budget.kind) {
    case 'processor':
      return bytes(Math.max(0, budget.systemBytes - reserveOf(budget)));
    case 'gpu':
      return bytes(budget.gpus.reduce((sum, memory) => sum + usableOf(memory), 0));
    case 'shared':
      return bytes(
        Math.max(
          0,
          ...budget.splits.map(({ carveOutBytes, sharedLimitBytes, systemBytes }) =>
            Math.min(carveOutBytes + sharedLimitBytes, carveOutBytes + systemBytes - reserveOf(budget)),
          ),
        ),
      );
  }
}

/** The longest context for which the condition holds; memory never shrinks with the context. */
function longestContext(most: number, fits: (tokens: number) => boolean): number | null {
  if (fits(most)) return most;
  let low = 0;
  let high = Math.ceil(most / CONTEXT_STEP);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle * CONTEXT_STEP)) low = middle;
    else high = middle;
  }
  return low === 0 ? null : low * CONTEXT_STEP;
}

/** The mixes, from the one in which the model is largest down. */
function largestFirst(shape: ModelShape, mixes: readonly MixName[]): MixName[] {
  return [...weightBytesInMixes(shape, mixes)].sort(([, a], [, b]) => b - a).map(([mix]) => mix);
}

/** The fewest experts, or without experts the fewest layers, that have to stay in the system's memory. */
function partialPlacement(
  weights: ModelWeights,
  settings: ContextMemorySettings,
  wanted: Placement,
  budget: MemoryBudget,
): PartialPlacement | null {
  const { shape } = weights;
  const placements: Placement[] = Array.from({ length: shape.layers }, (_, index) =>
    shape.experts === null
      ? { ...wanted, gpuLayers: shape.layers - index, cpuMoeLayers: 0 }
      : { ...wanted, gpuLayers: null, cpuMoeLayers: index + 1 },
  );
  const fits = (index: number): PartialPlacement | null => {
    const placement = placements[index];
    if (placement === undefined) return null;
    const breakdown = memoryOf(weights, settings, placedOn(budget, placement), backendOf(budget));
    if ('unsupported' in breakdown) return null;
    return fitVerdict(budget, breakdown) === 'fits' ? { placement, breakdown } : null;
  };
  let low = -1;
  let high = placements.length - 1;
  if (fits(high) === null) return null;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle) === null) low = middle;
    else high = middle;
  }
  return fits(high);
}
