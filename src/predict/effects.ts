import type { Configuration } from './configuration.ts';
import { isOnUntunedTensile } from './rocblas.ts';
import { GENERATION_TERMS, PROMPT_TERMS } from './terms.ts';

export type Metric = 'generation' | 'prompt';

/** One learned number: which term of which metric it scales, on which devices, for what. */
export interface EffectKey {
  readonly term: number;
  /** The name of the term, or of the group of terms that share the number. */
  readonly group: string;
  /** A group of devices: `*`, `gpu`, `nvidia|cuda`, `Ampere|cuda`, `nvidia-rtx-3090`, ... */
  readonly scope: string;
  /** What of the test it applies to: `` is everything. */
  readonly aspect: string;
  /** Standard deviation of its prior, in log units of the term's cost: how much it may say without evidence. */
  readonly sigma: number;
}

export const TERM_NAMES: Readonly<Record<Metric, readonly string[]>> = {
  generation: GENERATION_TERMS,
  prompt: PROMPT_TERMS,
};

/** Groups of devices, from the widest to the narrowest. */
const SCOPE_LEVELS = [
  'all',
  'unit',
  'family',
  'class',
  'variant',
  'device',
  'device-family',
  'exact',
] as const;
type ScopeLevel = (typeof SCOPE_LEVELS)[number];
export type Scopes = Readonly<Record<ScopeLevel, string>>;

/** The groups that a device with a backend belongs to. */
export function scopesOf({ device, backend }: Configuration): Scopes {
  const { family } = backend;
  return {
    all: '*',
    unit: device.integrated ? 'integrated' : device.unit,
    family: `${device.vendor}|${family}`,
    class: `${device.deviceClass}|${family}`,
    variant: `${device.deviceClass}|${family}-${backend.variant ?? ''}${backend.rocwmma ? '+rocwmma' : ''}`,
    device: device.id,
    'device-family': `${device.id}|${family}`,
    exact: `${device.id}|${backend.exact}`,
  };
}

/** How far an effect of each level may go: the wider levels are learned from more, so they are held less. */
type Sigmas = Partial<Readonly<Record<ScopeLevel, number>>>;

/** What varies with the device for every term. */
const DEVICE_SIGMAS: Sigmas = {
  all: 1,
  unit: 0.5,
  family: 0.4,
  class: 0.3,
  variant: 0.25,
  device: 0.12,
  'device-family': 0.12,
  exact: 0.12,
};

/** All the priors below as one: with 1 the fit follows single sources too far, with 0.6 not far enough (both were tried). */
const SHRINKAGE = 0.75;

/** What a class of tests costs more or less, and for which terms. */
export interface AspectRule {
  readonly aspects: (configuration: Configuration, tokens: number) => readonly string[];
  /** Terms by name; absent: all of the metric. */
  readonly terms?: readonly string[];
  readonly metric?: Metric;
  /** The terms share one number under this name; absent: each term has its own. */
  readonly group?: string;
  readonly sigmas: Sigmas;
}

const DAYS_PER_PERIOD = 91;
/** 2024-01-01 in days since 1970. */
const FIRST_PERIOD_DAY = 19723;
/** The last period with measurements: what is later is as fast as then. */
const LAST_PERIOD = 11;

/** The periods that had begun after so many of them: made once, as every configuration asks. */
const PERIODS_BEGUN = Array.from({ length: LAST_PERIOD + 1 }, (_, begun) =>
  Array.from({ length: begun }, (__, index) => `since-${index + 1}`),
);

/** The periods that had begun when the build was made: a build carries what each of them changed. */
function periodsUntil(day: number | null): readonly string[] {
  const period = day === null ? LAST_PERIOD : Math.floor((day - FIRST_PERIOD_DAY) / DAYS_PER_PERIOD);
  return PERIODS_BEGUN[Math.max(0, Math.min(period, LAST_PERIOD))] ?? [];
}

/** Kinds of attention with kernels of their own. */
export const attentionKind = ({ work }: Configuration): string =>
  work.latent ? 'latent' : work.recurrent ? 'hybrid' : 'plain';

/** What the terms of a group share: how much of the products' or the overheads' cost is the device's own. */
const SHARED_SIGMAS: Sigmas = {
  unit: 0.4,
  family: 0.4,
  class: 0.3,
  variant: 0.2,
  device: 0.2,
  'device-family': 0.2,
  exact: 0.1,
};

const RULES: readonly AspectRule[] = [
  {
    aspects: () => [''],
    terms: ['matmul', 'expert-matmul', 'dispatch', 'attention'],
    group: 'compute',
    sigmas: SHARED_SIGMAS,
  },
  {
    aspects: () => [''],
    terms: ['dense', 'experts', 'cache', 'stream'],
    group: 'memory',
    sigmas: {
      unit: 0.4,
      family: 0.3,
      class: 0.2,
      variant: 0.1,
      device: 0.2,
      'device-family': 0.1,
      exact: 0.05,
    },
  },
  {
    aspects: () => [''],
    terms: ['fixed', 'launch'],
    group: 'overhead',
    sigmas: SHARED_SIGMAS,
  },
  {
    aspects: ({ quantisation }) => [`quant-${quantisation.group}`],
    terms: ['dense', 'experts', 'arithmetic', 'matmul', 'expert-matmul', 'dispatch', 'stream'],
    sigmas: { all: 0.2, unit: 0.15, family: 0.2, class: 0.15, variant: 0.15, exact: 0.05 },
  },
  {
    aspects: ({ quantisation }) => [`quant-${quantisation.group}`],
    terms: ['dense', 'experts'],
    group: 'weights',
    sigmas: { all: 0.2, family: 0.4, class: 0.15, variant: 0.15 },
  },
  {
    aspects: ({ quantisation }) => [`quant-${quantisation.group}`],
    terms: ['matmul', 'expert-matmul', 'dispatch'],
    group: 'products',
    sigmas: { all: 0.2, family: 0.4, class: 0.15, variant: 0.15 },
  },
  // Unpacking weights bounds processors, and their kernels differ from engine to engine and by a factor from format to format.
  {
    aspects: ({ device, engine, quantisation }) =>
      device.unit === 'cpu'
        ? [`${engine}-${quantisation.group}`, `${engine}-${quantisation.group}-${quantisation.name}`]
        : [],
    metric: 'generation',
    terms: ['arithmetic'],
    sigmas: { all: 0.8, class: 0.3, exact: 0.2 },
  },
  // In prompts too: llama.cpp's processors unpack a row of weights again for every few tokens.
  {
    aspects: ({ device, engine, quantisation }) =>
      device.unit === 'cpu'
        ? [`${engine}-${quantisation.group}`, `${engine}-${quantisation.group}-${quantisation.name}`]
        : [],
    metric: 'prompt',
    terms: ['matmul', 'expert-matmul', 'dispatch'],
    group: 'products',
    sigmas: { all: 1.2, class: 0.3, exact: 0.2 },
  },
  {
    aspects: ({ flashAttention }) => [flashAttention ? 'fa' : 'no-fa'],
    metric: 'generation',
    terms: ['cache', 'attention'],
    sigmas: { all: 0.4, unit: 0.3, family: 0.4, class: 0.3, variant: 0.3, exact: 0.2 },
  },
  // Prompts at depth were measured on three devices: what they say is said of their classes, less of each backend.
  {
    aspects: ({ flashAttention }) => [flashAttention ? 'fa' : 'no-fa'],
    metric: 'prompt',
    terms: ['attention'],
    sigmas: { all: 0.4, unit: 0.3, family: 0.4, class: 0.5, variant: 0.15, exact: 0.1 },
  },
  {
    aspects: ({ flashAttention }) => [flashAttention ? 'fa' : 'no-fa'],
    terms: ['launch', 'elementwise', 'matmul', 'dense'],
    sigmas: { all: 0.05, family: 0.05, variant: 0.05 },
  },
  {
    aspects: (configuration) => [
      `kind-${attentionKind(configuration)}`,
      `kind-${attentionKind(configuration)}${configuration.flashAttention ? '-fa' : ''}`,
    ],
    terms: ['cache', 'attention'],
    sigmas: { all: 0.4, family: 0.3, class: 0.2, variant: 0.2, exact: 0.1 },
  },
  {
    aspects: ({ work }) => [`arch-${work.architecture}`],
    sigmas: { all: 0.1, family: 0.1, variant: 0.1 },
  },
  {
    aspects: ({ engine }) => (engine === 'llama.cpp' ? [] : [`engine-${engine}`]),
    sigmas: { all: 0.3, unit: 0.2, family: 0.1, exact: 0.1 },
  },
  // LocalScore's figures are people's own, with the cost of a server and of whatever else ran: what they lose to it is
  // not to be learned as a property of the class of devices.
  {
    aspects: ({ engine }) => (engine === 'localscore' ? ['localscore'] : []),
    metric: 'generation',
    terms: ['fixed', 'launch'],
    group: 'overhead',
    sigmas: { all: 0.4, unit: 0.3, family: 0.3, class: 0.4, device: 0.6 },
  },
  {
    aspects: ({ day }) => periodsUntil(day),
    sigmas: { all: 0.05, family: 0.1, class: 0.05 },
  },
  {
    aspects: (configuration, tokens) =>
      isBeforeTensorCores(configuration)
        ? [`early-${batchAspect(Math.min(configuration.ubatch, tokens))}`]
        : [],
    metric: 'prompt',
    terms: ['matmul', 'expert-matmul', 'dispatch'],
    group: 'products',
    sigmas: { family: 0.6, class: 0.3, exact: 0.2 },
  },
  // What a library lacks for new chips is no property of older ones: learned for the class alone.
  {
    aspects: (configuration, tokens) => (isOnUntunedTensile(configuration, tokens) ? ['tensile'] : []),
    metric: 'prompt',
    terms: ['matmul', 'expert-matmul', 'dispatch'],
    sigmas: { class: 1.2, exact: 0.4 },
  },
  {
    aspects: ({ ubatch }, tokens) => [batchAspect(Math.min(ubatch, tokens))],
    metric: 'prompt',
    terms: ['launch', 'matmul', 'expert-matmul', 'dispatch', 'stream', 'attention'],
    sigmas: { all: 0.4, unit: 0.3, family: 0.3, variant: 0.2, exact: 0.2 },
  },
];

/**
 * Days since 1970 of 2024-07-01: in June 2024 CUDA's products of small batches went from dot products to the integer
 * tensor cores (ggml-org/llama.cpp#7676, #7824, #7860, #7921), several times as fast.
 */
const TENSOR_CORE_DAY = 19905;
const isBeforeTensorCores = ({ backend, day }: Configuration): boolean =>
  backend.family === 'cuda' && day !== null && day < TENSOR_CORE_DAY;

/** Sizes of batches for which backends choose kernels of their own: matrix-vector, small tiles, full tiles, large. */
const BATCH_BUCKETS = [1, 4, 8, 16, 32, 64, 128, 256, 512, 1024] as const;

function batchAspect(tokens: number): string {
  return `batch-${BATCH_BUCKETS.find((size) => tokens <= size) ?? 'more'}`;
}

/** Levels with their sigmas, in order, worked out once for every rule. */
const LEVELS = new Map<Sigmas, readonly (readonly [ScopeLevel, number])[]>(
  [DEVICE_SIGMAS, ...RULES.map(({ sigmas }) => sigmas)].map((sigmas) => [
    sigmas,
    SCOPE_LEVELS.flatMap((level) => {
      const sigma = sigmas[level];
      return sigma === undefined ? [] : [[level, sigma] as const];
    }),
  ]),
);

/** What varies with the device for every term, and all that varies with the test: the one list, for the fit and for use. */
const ALL_RULES: readonly AspectRule[] = [{ aspects: () => [''], sigmas: DEVICE_SIGMAS }, ...RULES];

/** Calls `visit` for every rule that applies to a configuration, with what of the test it applies to. */
export function visitRules(
  configuration: Configuration,
  metric: Metric,
  tokens: number,
  visit: (rule: AspectRule, aspect: string) => void,
): void {
  for (const rule of ALL_RULES) {
    if (rule.metric !== undefined && rule.metric !== metric) continue;
    for (const aspect of rule.aspects(configuration, tokens)) visit(rule, aspect);
  }
}

/** Calls `visit` for every term that a rule is about: one effect at each of the levels. */
export function visitTerms(
  rule: AspectRule,
  metric: Metric,
  visit: (term: number, group: string, levels: readonly (readonly [ScopeLevel, number])[]) => void,
): void {
  const levels = LEVELS.get(rule.sigmas) ?? [];
  for (const [term, name] of TERM_NAMES[metric].entries()) {
    if (rule.terms === undefined || rule.terms.includes(name)) visit(term, rule.group ?? name, levels);
  }
}

/** Every effect on every term of a configuration. */
export function effectKeys(configuration: Configuration, metric: Metric, tokens: number): EffectKey[] {
  const keys: EffectKey[] = [];
  const scopes = scopesOf(configuration);
  visitRules(configuration, metric, tokens, (rule, aspect) => {
    visitTerms(rule, metric, (term, group, levels) => {
      for (const [level, sigma] of levels) {
        const held = level === 'all' && aspect === '' ? sigma : sigma * SHRINKAGE;
        keys.push({ term, group, scope: scopes[level], aspect, sigma: held });
      }
    });
  });
  return keys;
}
