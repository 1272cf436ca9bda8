import {
  activeParameterCount,
  activeWeightBytesPerToken,
  type MixName,
  type ModelShape,
} from '../model/index.ts';
import { seconds, type BytesPerSecond, type FlopPerSecond, type Seconds } from '../units/index.ts';
import { LayerPlanError, planLayers, type LayerLimits, type LayerPlan } from './layer-plan.ts';
import type { Repetitions } from './protocol.ts';

/** The tests of one model in a check, sized so that a slow machine is done in time as well. */
export interface CheckPlan {
  readonly layers: readonly number[];
  readonly promptTokens: number;
  readonly generatedTokens: number;
  /** null: no test at depth, and so no statement about long prompts. */
  readonly depthTokens: number | null;
  readonly repetitions: Repetitions;
}

export interface Speeds {
  readonly matmul: FlopPerSecond;
  readonly bandwidth: BytesPerSecond;
}

/** Longest first: llama-bench's own default, and what is taken on machines that would need minutes for it. */
const PROMPTS = [512, 256, 128, 64] as const;
const GENERATIONS = [128, 64, 32, 16, 8] as const;
/** Time for one repetition over all sampled files. With two warm-ups and five repetitions a test takes seven of these. */
const REPETITION: Readonly<Record<'full' | 'quick', Seconds>> = { full: seconds(3), quick: seconds(0.8) };
const BUDGET: Readonly<Record<'full' | 'quick', Seconds>> = { full: seconds(15), quick: seconds(2) };
/** A depth of so many prompts makes the cost of attention visible above the noise, and is filled in about as many. */
const DEPTH_IN_PROMPTS = 4;
/** What a real model reaches of the best product: measured shares lie between a half and nine tenths. */
const USUAL_SHARE = 0.6;

/** The usual pair of layer counts, and the one for machines that are slow or small. */
const LAYER_PAIRS = [
  [4, 8],
  [2, 4],
] as const;

/**
 * Chooses layers and lengths for a machine of these speeds: the largest that keep a repetition short.
 * @throws LayerPlanError when not even the smallest sample fits.
 */
export function planCheck(
  shape: ModelShape,
  mix: MixName,
  speeds: Speeds,
  limits: LayerLimits,
  quick: boolean,
): CheckPlan {
  const pace = quick ? 'quick' : 'full';
  const repetitions: Repetitions = { count: 'adaptive', budgetSeconds: BUDGET[pace] };
  let refusal: unknown;
  for (const pair of LAYER_PAIRS) {
    let plan: LayerPlan;
    try {
      plan = planLayers(shape, mix, pair, limits);
    } catch (error) {
      if (!(error instanceof LayerPlanError)) throw error;
      refusal = error;
      continue;
    }
    const promptSeconds = (tokens: number): number =>
      (2 * tokens * sampledParameters(shape, plan)) / (speeds.matmul * USUAL_SHARE);
    const tokenSeconds = sampledBytesPerToken(shape, mix, plan) / (speeds.bandwidth * USUAL_SHARE);
    const promptTokens = PROMPTS.find((tokens) => promptSeconds(tokens) <= REPETITION[pace]);
    const smallest = pair === LAYER_PAIRS.at(-1);
    if (promptTokens === undefined && !smallest) continue;
    const prompt = promptTokens ?? PROMPTS.at(-1) ?? 64;
    const generated = GENERATIONS.find((tokens) => tokens * tokenSeconds <= REPETITION[pace]);
    return {
      layers: pair,
      promptTokens: prompt,
      generatedTokens: generated ?? GENERATIONS.at(-1) ?? 8,
      depthTokens: quick ? null : prompt * DEPTH_IN_PROMPTS,
      repetitions,
    };
  }
  throw refusal;
}

/** Parameters that a prompt's token meets in all sampled files together, without the heads: only the last token's counts. */
function sampledParameters(shape: ModelShape, plan: LayerPlan): number {
  const headless = activeParameterCount(shape, []);
  return plan.samples.reduce((sum, layers) => sum + activeParameterCount(shape, layers) - headless, 0);
}

function sampledBytesPerToken(shape: ModelShape, mix: MixName, plan: LayerPlan): number {
  return plan.samples.reduce((sum, layers) => sum + activeWeightBytesPerToken(shape, mix, layers), 0);
}
