import type { PredictedTerm, Prediction } from '../predict/index.ts';
import {
  formatBandwidth,
  formatFlopPerSecond,
  formatSignificant,
  bytesPerSecond,
  flopPerSecond,
} from '../units/index.ts';
import { BASIS_MEANINGS } from './basis-text.ts';
import { intervalText } from './interval-text.ts';

/** What a term is, for people. */
const TERM_TITLES: Readonly<Record<string, string>> = {
  fixed: 'fixed cost of each pass',
  launch: 'launching kernels',
  dense: 'weights of every token',
  experts: 'weights of the chosen experts',
  cache: 'KV cache',
  attention: 'attention over the context',
  arithmetic: 'unpacking and multiplying weights',
  state: 'recurrent state',
  matmul: 'matrix products',
  'expert-matmul': 'matrix products of experts',
  dispatch: 'sorting tokens to experts',
  stream: 'reading the weights once a batch',
  elementwise: 'norms, rotations and sums',
  transfer: 'copies between processor and GPU',
};

/** A step from the physical limit to what is expected. */
export interface WaterfallStep {
  readonly title: string;
  /** Seconds that the step adds. */
  readonly seconds: number;
  /** The share of the whole. */
  readonly share: number;
  readonly kind: 'limit' | 'loss';
  /** What this step and those before it leave of the roof: bytes, or operations, per second; null under several roofs. */
  readonly ratePerSecond: number | null;
}

/** What is explained. */
export interface WaterfallSubject {
  /** The model with its quantisation. */
  readonly model: string;
  readonly machine: string;
  readonly backend: string;
  /** As llama-bench names it: `tg128`, `pp512 @ d4096`. */
  readonly test: string;
}

export interface Waterfall {
  readonly title: string;
  readonly subject: WaterfallSubject;
  readonly metric: 'generation' | 'prompt';
  readonly prediction: Prediction;
  readonly steps: readonly WaterfallStep[];
  /** The roof that the limit comes from: `256 GB/s`, `59.4 TFLOP/s FP16`. */
  readonly roof: string;
  /** What the prediction makes of that roof: `208 GB/s`; null under several roofs. */
  readonly reached: string | null;
}

/** Steps that take less than this share are summed up as one. */
const SMALLEST_SHARE = 0.005;
/** Terms that bound a token, and a prompt: the bytes at the full bandwidth, the products at the full peak. */
const LIMIT_TERMS: Readonly<Record<Waterfall['metric'], readonly string[]>> = {
  generation: ['dense', 'experts', 'cache'],
  prompt: ['matmul', 'expert-matmul'],
};

/** Whether weights are copied that the link bounds; what layers hand to one another hardly takes more than its calls. */
const isBoundByLink = ({ on, roofSeconds }: PredictedTerm, whole: number): boolean =>
  on === 'link' && roofSeconds !== null && roofSeconds >= SMALLEST_SHARE * whole;

/** Splits a prediction into its limit and what is lost to it, term by term. */
export function waterfallOf(
  subject: WaterfallSubject,
  metric: Waterfall['metric'],
  prediction: Prediction,
  roofs: {
    readonly bandwidthBytesPerSecond: number;
    readonly matmulFlopPerSecond: number | null;
    readonly matmulType: string | null;
  },
  beside: RoofsBeside | null = null,
): Waterfall {
  const whole = prediction.seconds;
  const limits = prediction.terms.filter(
    (term) => term.seconds > 0 && (LIMIT_TERMS[metric].includes(term.name) || isBoundByLink(term, whole)),
  );
  const parts: Omit<WaterfallStep, 'ratePerSecond'>[] = limits.map((term) => ({
    title: `${titleOf(term)}, at the limit`,
    seconds: term.roofSeconds ?? 0,
    share: (term.roofSeconds ?? 0) / whole,
    kind: 'limit',
  }));
  const losses = prediction.terms
    .filter(({ seconds }) => seconds > 0)
    .map((term): Omit<WaterfallStep, 'ratePerSecond'> => {
      const bounded = limits.includes(term);
      const lost = term.seconds - (bounded ? (term.roofSeconds ?? 0) : 0);
      const efficiency = bounded
        ? `, at ${percent((term.roofSeconds ?? 0) / term.seconds)} of the limit`
        : '';
      return { title: `${titleOf(term)}${efficiency}`, seconds: lost, share: lost / whole, kind: 'loss' };
    })
    .sort((a, b) => b.seconds - a.seconds);
  const small = losses.filter(({ share }) => share < SMALLEST_SHARE);
  const rest = small.reduce((sum, { seconds }) => sum + seconds, 0);
  parts.push(...losses.filter(({ share }) => share >= SMALLEST_SHARE));
  if (rest > 0) parts.push({ title: 'all else', seconds: rest, share: rest / whole, kind: 'loss' });
  const matmul = roofs.matmulFlopPerSecond;
  const ofMemory = metric === 'generation' || matmul === null;
  const rate = ofMemory ? roofs.bandwidthBytesPerSecond : matmul;
  const shown = (value: number): string =>
    ofMemory
      ? formatBandwidth(bytesPerSecond(value))
      : `${formatFlopPerSecond(flopPerSecond(value))} ${roofs.matmulType ?? ''}`.trim();
  const others = beside === null ? '' : roofsBeside(beside, prediction);
  const atLimit = limits.reduce((sum, { roofSeconds }) => sum + (roofSeconds ?? 0), 0);
  // Without a peak the products of a prompt stand under no roof, and two processors have two.
  const isOneRoof = beside === null && (metric === 'generation' || matmul !== null);
  let passed = 0;
  const steps = parts.map((part): WaterfallStep => {
    passed += part.seconds;
    const left = part.kind === 'limit' ? rate : (rate * atLimit) / passed;
    return { ...part, ratePerSecond: isOneRoof ? left : null };
  });
  return {
    title: `${metric === 'generation' ? 'One token' : 'A prompt'}, ${subject.test}: ${subject.model} on ${subject.machine}, ${subject.backend}`,
    subject,
    metric,
    prediction,
    steps,
    roof: `${shown(rate)}${others}`,
    reached: isOneRoof ? shown((rate * atLimit) / whole) : null,
  };
}

/** The roofs of what a processor does that keeps a part of the model. */
export interface RoofsBeside {
  readonly bandwidthBytesPerSecond: number;
  /** null: not known, or one memory for both. */
  readonly linkBytesPerSecond: number | null;
}

/** Those that bound some part of the prediction. */
function roofsBeside(
  { bandwidthBytesPerSecond, linkBytesPerSecond }: RoofsBeside,
  { terms }: Prediction,
): string {
  const computes = terms.some(({ on }) => on === 'host');
  if (computes) return ` and ${formatBandwidth(bytesPerSecond(bandwidthBytesPerSecond))} of the processor`;
  return linkBytesPerSecond === null
    ? ''
    : ` and ${formatBandwidth(bytesPerSecond(linkBytesPerSecond))} of the link`;
}

const titleOf = ({ name, on }: PredictedTerm): string =>
  `${TERM_TITLES[name] ?? name}${on === 'host' ? ', on the processor' : ''}`;
export const percent = (share: number): string => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;

/** The waterfall as lines of text. */
export function waterfallText(waterfall: Waterfall): string {
  const { title, prediction, steps } = waterfall;
  const width = Math.max(...steps.map((step) => step.title.length));
  const hasRates = waterfall.reached !== null;
  const rateWidth = hasRates ? RATE_LETTERS + 2 : 0;
  const longestBar = Math.max(LEAST_BAR, TEXT_WIDTH - width - NUMBERS_WIDTH - rateWidth);
  const line = (name: string, seconds: number, share: number, rate: string, bar: string): string =>
    `  ${name.padEnd(width)}  ${milliseconds(seconds).padStart(10)}  ${percent(share).padStart(5)}${rate.padStart(rateWidth)}  ${bar}`.trimEnd();
  return [
    title,
    ...summaryOf(waterfall),
    ...steps.map((step) =>
      line(
        step.title,
        step.seconds,
        step.share,
        rateText(waterfall, step),
        '#'.repeat(Math.round(step.share * longestBar)),
      ),
    ),
    line('expected', prediction.seconds, 1, waterfall.reached ?? '', ''),
    `  ${prediction.basis}: ${BASIS_MEANINGS[prediction.basis]}`,
  ].join('\n');
}

/** What the roof allows, what is expected, and how much of the roof that is. */
export function summaryOf({ metric, prediction, steps, roof, reached }: Waterfall): string[] {
  const limit = steps.filter(({ kind }) => kind === 'limit').reduce((sum, { seconds }) => sum + seconds, 0);
  const share = percent(limit / prediction.seconds);
  const { roofTokensPerSecond, tokensPerSecond, low, high } = prediction;
  const expected = intervalText({ value: tokensPerSecond, low, high });
  const of = metric === 'generation' ? 'a token' : 'the prompt';
  return [
    `The limit, ${roof}, allows ${formatSignificant(roofTokensPerSecond)} tokens/s; expected are ${expected}.`,
    reached === null
      ? // By the roof as a whole: memory may bound a prompt of few tokens, of which the steps show products alone.
        `${percent(tokensPerSecond / roofTokensPerSecond)} of the time of ${of} is the limit itself.`
      : `That makes ${reached} of it, ${share}. What is left after each step:`,
  ];
}

function rateText({ metric }: Waterfall, { kind, ratePerSecond }: WaterfallStep): string {
  if (ratePerSecond === null || kind === 'limit') return '';
  return metric === 'generation'
    ? formatBandwidth(bytesPerSecond(ratePerSecond))
    : formatFlopPerSecond(flopPerSecond(ratePerSecond));
}

/** Letters of the longest rate, `85.1 GFLOP/s`. */
const RATE_LETTERS = 12;

/** Letters of a line, of its numbers but the rate with the gaps between them, and of the whole bar where the name is long. */
const TEXT_WIDTH = 100;
const NUMBERS_WIDTH = 2 + 2 + 10 + 2 + 5 + 2;
const LEAST_BAR = 12;
export const milliseconds = (value: number): string => `${formatSignificant(value * 1e3)} ms`;
