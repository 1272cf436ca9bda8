import type { Configuration } from './configuration.ts';
import { attentionKind, TERM_NAMES, type Metric } from './effects.ts';

/** Terms that a device shifts together in tests of a kind, and by how much without evidence. */
interface ShiftRule {
  readonly name: string;
  /** The terms, as positions in `TERM_NAMES`. */
  readonly positions: readonly number[];
  /** Standard deviation of the prior, in log units. */
  readonly sigma: number;
  /** The kind of test that it is shared by; absent: all. Null: the rule does not concern this one. */
  readonly kindOf?: (configuration: Configuration) => string | null;
}

/** What a calibration may move, and how far its points are believed. */
export interface Spread {
  readonly rules: readonly ShiftRule[];
  /** How far a perfectly calibrated model still is from a measurement, in log units: noise and what it leaves out. */
  readonly noise: number;
  /** A point this many standard deviations from the others of its device measured something else: swapping, a wrong label. */
  readonly believable: number;
}

const rule = (
  metric: Metric,
  name: string,
  terms: readonly string[] | 'all',
  sigma: number,
  kindOf?: ShiftRule['kindOf'],
): ShiftRule => {
  const positions = TERM_NAMES[metric].flatMap((term, at) =>
    terms === 'all' || terms.includes(term) ? [at] : [],
  );
  return kindOf === undefined ? { name, positions, sigma } : { name, positions, sigma, kindOf };
};
const eachTerm = (metric: Metric, terms: readonly string[], sigma: number): ShiftRule[] =>
  terms.map((term) => rule(metric, `term ${term}`, [term], sigma));

const formatOf = ({ quantisation }: Configuration): string => quantisation.group;
const flashAttentionOf = ({ flashAttention }: Configuration): string => (flashAttention ? 'on' : 'off');
const architectureOf = ({ work }: Configuration): string => work.architecture;
const onProcessor = ({ device }: Configuration): string | null => (device.unit === 'cpu' ? '' : null);

/** A machine as a whole may be a slice of the device, or throttled: a virtual machine has a few of its cores. */
const WHOLE_SIGMA = 1;

/**
 * The spread between devices, chosen by the errors of calibrated devices in the development measurements (regime c of
 * docs/accuracy.md). The shift of a format or an architecture reaches only tests that share it with a measured one.
 */
const SPREADS: Readonly<Record<Metric, Spread>> = {
  generation: {
    rules: [
      rule('generation', 'whole', 'all', WHOLE_SIGMA),
      rule('generation', 'memory', ['dense', 'experts', 'cache', 'attention', 'arithmetic'], 0.25),
      rule('generation', 'overhead', ['fixed', 'launch'], 0.6),
      rule('generation', 'format', ['dense', 'experts', 'arithmetic'], 0.2, formatOf),
      rule('generation', 'flash-attention', ['cache', 'attention'], 0.5, flashAttentionOf),
      rule('generation', 'attention', ['cache', 'attention'], 0.1, attentionKind),
      rule('generation', 'architecture', 'all', 0.05, architectureOf),
      // People choose the number of threads, and a datasheet's peak says little of what unpacking reaches of it.
      rule('generation', 'threads', ['arithmetic'], 1, onProcessor),
      ...eachTerm('generation', TERM_NAMES.generation, 0.5),
    ],
    noise: 0.015,
    believable: 5,
  },
  prompt: {
    rules: [
      rule('prompt', 'whole', 'all', WHOLE_SIGMA),
      rule('prompt', 'products', ['matmul', 'expert-matmul', 'dispatch', 'attention', 'elementwise'], 0.28),
      rule('prompt', 'experts', ['expert-matmul', 'dispatch'], 0.36),
      rule('prompt', 'overhead', ['fixed', 'launch'], 2),
      rule('prompt', 'format', ['matmul', 'expert-matmul', 'dispatch'], 0.29, formatOf),
      rule('prompt', 'flash-attention', ['attention'], 0.2, flashAttentionOf),
      rule('prompt', 'attention', ['attention'], 0.2, attentionKind),
      rule('prompt', 'architecture', 'all', 0.05, architectureOf),
      ...eachTerm('prompt', TERM_NAMES.prompt, 0.1),
    ],
    noise: 0.05,
    believable: 1.6,
  },
};

/**
 * What a calibration may move on a device whose rates were measured. Its weights and products are known to within
 * what a model loses of single products, and what the machine drifts meanwhile; only what no product measures is as
 * unknown as on any other device: attention, experts' rows that are few and scattered, the cost of each operation.
 */
const MEASURED_SPREADS: Readonly<Record<Metric, Spread>> = {
  generation: {
    rules: [
      rule('generation', 'whole', 'all', 0.1),
      rule('generation', 'weights', ['dense', 'experts'], 0.25),
      rule('generation', 'experts', ['experts'], 0.25),
      rule('generation', 'overhead', ['fixed', 'launch'], 0.5),
      rule('generation', 'past', ['cache', 'attention'], 0.6),
      ...eachTerm('generation', ['cache', 'attention', 'state'], 0.6),
    ],
    noise: 0.04,
    believable: 3,
  },
  prompt: {
    rules: [
      rule('prompt', 'whole', 'all', 0.1),
      rule('prompt', 'products', ['matmul', 'expert-matmul', 'dispatch'], 0.15),
      rule('prompt', 'experts', ['expert-matmul', 'dispatch'], 0.6),
      rule('prompt', 'overhead', ['fixed', 'launch'], 0.5),
      ...eachTerm('prompt', ['attention', 'elementwise', 'state', 'stream'], 1),
    ],
    noise: 0.07,
    believable: 3,
  },
};

/**
 * The same where attention was timed alone, and weights of each type in layers of a model (`ridgepoint calibrate`): little
 * is left that nothing measured.
 */
const SAMPLED_GENERATION: Spread = {
  rules: [
    rule('generation', 'whole', 'all', 0.05),
    rule('generation', 'weights', ['dense', 'experts'], 0.1),
    rule('generation', 'experts', ['experts'], 0.25),
    rule('generation', 'overhead', ['fixed', 'launch'], 0.5),
    rule('generation', 'past', ['cache', 'attention'], 0.15),
    ...eachTerm('generation', ['state'], 0.6),
  ],
  noise: 0.03,
  believable: 3,
};

/** What a calibration may move on the device of a configuration. */
export function spreadOf(metric: Metric, { device }: Configuration): Spread {
  if (device.measured === undefined) return SPREADS[metric];
  return metric === 'generation' && device.measuredAttention !== undefined
    ? SAMPLED_GENERATION
    : MEASURED_SPREADS[metric];
}
