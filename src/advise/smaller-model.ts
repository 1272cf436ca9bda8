import {
  leastMemoryOf,
  memoryOf,
  ON_DEVICE,
  parameterCount,
  tensorsOf,
  type ContextMemorySettings,
  type MemoryBreakdown,
  type MixName,
  type ModelShape,
} from '../model/index.ts';
import { backendOf, fitVerdict, needsNoUnknownMemory } from './fit.ts';
import { placedOn, type MemoryBudget } from './memory-budget.ts';

/** A model that a budget has memory for. */
export interface SmallerModel {
  readonly shape: ModelShape;
  readonly contextTokens: number;
  readonly breakdown: MemoryBreakdown;
}

/** A prompt and an answer of some length; a proposal that holds no more is none. */
const USEFUL_CONTEXT = 8192;

/**
 * The largest of the models that is smaller than the wanted one and fits, in the same mix and with a context as long as
 * was wanted, but no longer than {@link USEFUL_CONTEXT} or than it knows; null: none does.
 */
export function largestSmallerModel(
  wanted: ModelShape,
  shapes: readonly ModelShape[],
  mix: MixName,
  settings: ContextMemorySettings,
  budget: MemoryBudget,
): SmallerModel | null {
  const most = parameterCount(wanted);
  const bySize = shapes
    .map((shape) => ({ shape, weights: parameterCount(shape) }))
    .filter(({ weights }) => weights < most)
    .sort((a, b) => b.weights - a.weights);
  const placement = placedOn(budget, ON_DEVICE);
  for (const { shape } of bySize) {
    const contextTokens = Math.min(settings.contextTokens, shape.contextLength, USEFUL_CONTEXT);
    const weights = { shape, tensors: tensorsOf(shape, mix) };
    const context = { ...settings, contextTokens };
    const least = leastMemoryOf(weights, context, placement, backendOf(budget));
    if ('unsupported' in least || fitVerdict(budget, least) !== 'fits') continue;
    if (!needsNoUnknownMemory(budget, least, null)) continue;
    const breakdown = memoryOf(weights, context, placement, backendOf(budget));
    if ('unsupported' in breakdown || !needsNoUnknownMemory(budget, breakdown, null)) continue;
    if (fitVerdict(budget, breakdown) === 'fits') {
      return { shape, contextTokens, breakdown };
    }
  }
  return null;
}
