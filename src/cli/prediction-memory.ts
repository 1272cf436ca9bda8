import { backendOf, fitVerdict, placedOn, type FitVerdict } from '../advise/index.ts';
import {
  DEFAULT_CONTEXT,
  memoryOf,
  ON_DEVICE,
  tensorsOf,
  type KvCacheType,
  type Unsupported,
} from '../model/index.ts';
import { formatBytes, type Bytes } from '../units/index.ts';
import type { CliContext } from './context.ts';
import type { PredictedModel, Settings } from './prediction-model.ts';
import type { Target } from './prediction-target.ts';

/** What a model takes on a target with a context, and whether the target has it. */
export interface MemoryNeed {
  readonly contextTokens: number;
  readonly deviceBytes: Bytes;
  readonly hostBytes: Bytes;
  /** null: the target's memory is not known. */
  readonly verdict: FitVerdict | null;
}

const CACHE_TYPES: Readonly<Record<string, KvCacheType>> = {
  f16: 'F16',
  q8_0: 'Q8_0',
  q5_1: 'Q5_1',
  q5_0: 'Q5_0',
  q4_1: 'Q4_1',
  q4_0: 'Q4_0',
};

/** The account of `fit` for one context; or why llama.cpp refuses the settings. */
export function memoryNeed(
  { budget }: Pick<Target, 'budget'>,
  { shape, mix }: Pick<PredictedModel, 'shape' | 'mix'>,
  settings: Settings,
  contextTokens: number,
): MemoryNeed | Unsupported {
  const cacheType = CACHE_TYPES[settings.cacheType ?? 'f16'] ?? 'F16';
  const breakdown = memoryOf(
    { shape, tensors: tensorsOf(shape, mix) },
    {
      ...DEFAULT_CONTEXT,
      contextTokens,
      ubatchTokens: settings.ubatch ?? DEFAULT_CONTEXT.ubatchTokens,
      cacheTypeK: cacheType,
      cacheTypeV: cacheType,
      flashAttention: settings.flashAttention ?? DEFAULT_CONTEXT.flashAttention,
    },
    placedOn(budget, settings.placement ?? ON_DEVICE),
    backendOf(budget),
  );
  if ('unsupported' in breakdown) return breakdown;
  const { deviceBytes, hostBytes } = breakdown;
  const verdict = budget === null ? null : fitVerdict(budget, breakdown);
  return { contextTokens, deviceBytes, hostBytes, verdict };
}

/** Says on what a prediction has no hold: a model that does not fit, a context that the model was not trained for. */
export function warnOfContext(
  target: Target,
  model: PredictedModel,
  settings: Settings,
  contextTokens: number,
  context: CliContext,
): void {
  const { contextLength } = model.shape;
  if (contextTokens > contextLength) {
    context.stderr(
      `warning: ${model.title} was trained for contexts of up to ${contextLength} tokens; with ${contextTokens} the predicted speed holds, what the model answers may not.`,
    );
  }
  const need = memoryNeed(target, model, settings, contextTokens);
  if ('unsupported' in need) {
    context.stderr(`warning: llama.cpp refuses these settings for ${model.title}: ${need.unsupported}.`);
    return;
  }
  const { deviceBytes, hostBytes } = need;
  const size =
    deviceBytes === 0
      ? formatBytes(hostBytes)
      : `${formatBytes(deviceBytes)} on the GPU and ${formatBytes(hostBytes)} beside it`;
  const all = `${model.title} with a context of ${contextTokens} tokens takes ${size}`;
  if (need.verdict === 'does-not-fit') {
    context.stderr(
      `warning: ${all}, more than ${target.name} has for it; what is predicted is a device of the kind with more. ridgepoint fit says what fits.`,
    );
  } else if (need.verdict === 'starves') {
    context.stderr(`warning: ${all}, which leaves the rest of ${target.name} too little.`);
  }
}
