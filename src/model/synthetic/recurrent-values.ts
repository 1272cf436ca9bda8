import { elementCount, type Dimensions } from '../ggml-types.ts';

/**
 * Where trained recurrent models start from, so that states neither vanish at once nor grow without bound. The decays
 * and steps are those of the reference implementation of Mamba (https://github.com/state-spaces/mamba, release v2.2.2):
 * `A_init_range` and `dt_min`, `dt_max` of mamba_ssm/modules/mamba2.py, the arange of mamba_simple.py.
 */
const HEAD_DECAY = { slowest: 1, fastest: 16 } as const;
const TIME_STEP = { shortest: 0.001, longest: 0.1 } as const;

/**
 * `ssm_a` as files have it, minus the exponential of the trained `A_log`: negative, so that a state is multiplied with
 * exp(step * ssm_a), which lies between 0 and 1. Mamba 1 has a decay for each of its state's entries, -1, -2, ...;
 * the others have one for each head, spread between -1 and -16.
 */
export function stateDecays(dims: Dimensions): Float32Array {
  const [row = 1] = dims;
  const values = new Float32Array(elementCount(dims));
  const hasStateRows = dims.length === 2 && row > 1;
  if (hasStateRows) return values.map((_, index) => -(1 + (index % row)));
  return values.map((_, head) => -spread(HEAD_DECAY.slowest, HEAD_DECAY.fastest, head, values.length));
}

/** Biases whose softplus are steps between 0.001 and 0.1, evenly on a logarithmic scale. */
export function timeStepBiases(dims: Dimensions): Float32Array {
  const values = new Float32Array(elementCount(dims));
  const [low, high] = [Math.log(TIME_STEP.shortest), Math.log(TIME_STEP.longest)];
  return values.map((_, index) => inverseSoftplus(Math.exp(spread(low, high, index, values.length))));
}

/** The index-th of `count` points that divide an interval evenly, without its ends. */
function spread(low: number, high: number, index: number, count: number): number {
  return low + ((index + 0.5) / count) * (high - low);
}

/** x with log(1 + exp(x)) = y, exact for small y as well. */
function inverseSoftplus(y: number): number {
  return y + Math.log(-Math.expm1(-y));
}
