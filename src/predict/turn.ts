import { seconds, type Seconds, type TokensPerSecond } from '../units/index.ts';
import type { Configuration } from './configuration.ts';
import type { Predictor } from './predict.ts';
import type { Basis, Estimate } from './situation.ts';

/** One exchange with a model: a prompt of which a part is still in the cache, and an answer. */
export interface Turn {
  readonly promptTokens: number;
  readonly outputTokens: number;
  /** The share of the prompt that is in the cache from the turn before. */
  readonly cachedShare: number;
}

export interface SecondsInterval {
  readonly value: Seconds;
  readonly low: Seconds;
  readonly high: Seconds;
}

/** Tokens per second, with the interval that is meant to hold four measurements of five. */
export interface SpeedInterval {
  readonly value: TokensPerSecond;
  readonly low: TokensPerSecond;
  readonly high: TokensPerSecond;
}

export interface PredictedTurn {
  readonly promptTokensPerSecond: number;
  readonly outputTokensPerSecond: number;
  /** The same two speeds with their intervals. */
  readonly promptSpeed: SpeedInterval;
  readonly outputSpeed: SpeedInterval;
  /** Until the first token of the answer. */
  readonly firstToken: SecondsInterval;
  readonly whole: SecondsInterval;
  readonly basis: Basis;
}

/**
 * Predicts a turn: the new part of the prompt at the depth of the cached one, then the answer, at the mean depth
 * while it grows. The errors of prompt and generation are taken to go together, which makes the interval wider.
 */
export function predictTurn(
  predictor: Predictor,
  configuration: Configuration,
  turn: Turn,
  modelId: string | null,
): PredictedTurn {
  const cached = Math.round(turn.promptTokens * turn.cachedShare);
  const fresh = Math.max(1, turn.promptTokens - cached);
  const prompt = predictor.predict(
    { ...configuration, depth: cached },
    { metric: 'prompt', tokens: fresh },
    modelId,
  );
  const generation = predictor.predict(
    { ...configuration, depth: turn.promptTokens },
    { metric: 'generation', context: turn.promptTokens + turn.outputTokens / 2 },
    modelId,
  );
  const interval = (outputTokens: number): SecondsInterval => {
    const at = (promptSpeed: number, outputSpeed: number): Seconds =>
      seconds(fresh / promptSpeed + outputTokens / outputSpeed);
    return {
      value: at(prompt.tokensPerSecond, generation.tokensPerSecond),
      low: at(prompt.high, generation.high),
      high: at(prompt.low, generation.low),
    };
  };
  return {
    promptTokensPerSecond: prompt.tokensPerSecond,
    outputTokensPerSecond: generation.tokensPerSecond,
    promptSpeed: speedOf(prompt),
    outputSpeed: speedOf(generation),
    firstToken: interval(1),
    whole: interval(turn.outputTokens),
    basis: prompt.basis === generation.basis ? prompt.basis : 'datasheet',
  };
}

const speedOf = ({ tokensPerSecond, low, high }: Estimate): SpeedInterval => ({
  value: tokensPerSecond,
  low,
  high,
});
