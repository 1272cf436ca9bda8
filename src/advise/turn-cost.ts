import type { PredictedTurn } from '../predict/index.ts';

/** What a turn takes of the power and of the money that are put into a machine; null where either is not known. */
export interface TurnCost {
  /** Of the whole turn, at the power that is given. */
  readonly joules: number | null;
  readonly tokensPerSecondPerWatt: number | null;
  readonly tokensPerSecondPerThousandDollars: number | null;
}

/** The cost of a turn on a machine that draws `watts` under load and sells for `priceUsd`. */
export function turnCost(
  { whole, outputTokensPerSecond }: Pick<PredictedTurn, 'whole' | 'outputTokensPerSecond'>,
  watts: number | null,
  priceUsd: number | null,
): TurnCost {
  return {
    joules: watts === null ? null : watts * whole.value,
    tokensPerSecondPerWatt: watts === null ? null : outputTokensPerSecond / watts,
    tokensPerSecondPerThousandDollars:
      priceUsd === null ? null : (USD_OF_PRICE_RATIO * outputTokensPerSecond) / priceUsd,
  };
}

/** Machines cost thousands of dollars; per dollar every figure would begin with zeros. */
const USD_OF_PRICE_RATIO = 1000;
