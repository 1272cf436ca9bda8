import type { PredictedTerm, Prediction } from '../predict/index.ts';
import {
  formatBandwidth,
  formatFlopPerSecond,
  formatSignificant,
  bytesPerSecond,
  flopPerSecond,
} from '../units/index.ts';

/** What a term is, for people. */
const TERM_TITLES: Readonly<Record<string, string>> = {
  fixed: 'fixed cost of each pass',
  launch: 'launching kernels',
  dense: 'weights that every token reads',
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
}

export interface Waterfall {
  readonly title: string;
  readonly metric: 'generation' | 'prompt';
  readonly prediction: Prediction;
  readonly steps: readonly WaterfallStep[];
  /** The roof that the limit comes from: `256 GB/s`, `59.4 TFLOP/s FP16`. */
  readonly roof: string;
}

/** Steps that take less than this share are summed up as one. */
const SMALLEST_SHARE = 0.005;
/** Terms that bound a token, and a prompt: the bytes at the full bandwidth, the products at the full peak. */
const LIMIT_TERMS: Readonly<Record<Waterfall['metric'], readonly string[]>> = {
  generation: ['dense', 'experts', 'cache'],
  prompt: ['matmul', 'expert-matmul'],
};

/** Splits a prediction into its limit and what is lost to it, term by term. */
export function waterfallOf(
  title: string,
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
    ({ name, seconds }) => LIMIT_TERMS[metric].includes(name) && seconds > 0,
  );
  const steps: WaterfallStep[] = limits.map((term) => ({
    title: `${titleOf(term)}, at the limit`,
    seconds: term.roofSeconds ?? 0,
    share: (term.roofSeconds ?? 0) / whole,
    kind: 'limit',
  }));
  const losses = prediction.terms
    .filter(({ seconds }) => seconds > 0)
    .map((term): WaterfallStep => {
      const bounded = limits.includes(term);
      const lost = term.seconds - (bounded ? (term.roofSeconds ?? 0) : 0);
      const efficiency = bounded
        ? ` below the limit (${percent((term.roofSeconds ?? 0) / term.seconds)} reached)`
        : '';
      return { title: `${titleOf(term)}${efficiency}`, seconds: lost, share: lost / whole, kind: 'loss' };
    })
    .sort((a, b) => b.seconds - a.seconds);
  const small = losses.filter(({ share }) => share < SMALLEST_SHARE);
  const rest = small.reduce((sum, { seconds }) => sum + seconds, 0);
  steps.push(...losses.filter(({ share }) => share >= SMALLEST_SHARE));
  if (rest > 0) steps.push({ title: 'all else', seconds: rest, share: rest / whole, kind: 'loss' });
  const matmul = roofs.matmulFlopPerSecond;
  const own =
    metric === 'generation' || matmul === null
      ? formatBandwidth(bytesPerSecond(roofs.bandwidthBytesPerSecond))
      : `${formatFlopPerSecond(flopPerSecond(matmul))} ${roofs.matmulType ?? ''}`.trim();
  const others = beside === null ? '' : roofsBeside(beside, prediction);
  return { title, metric, prediction, steps, roof: `${own}${others}` };
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
const percent = (share: number): string => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;

/** The waterfall as lines of text. */
export function waterfallText({ title, metric, prediction, steps, roof }: Waterfall): string {
  const unit = metric === 'generation' ? 'a token' : 'the prompt';
  const limit = steps.filter(({ kind }) => kind === 'limit').reduce((sum, { seconds }) => sum + seconds, 0);
  const width = Math.max(...steps.map((step) => step.title.length));
  const lines = steps.map(
    (step) =>
      `  ${step.title.padEnd(width)}  ${milliseconds(step.seconds).padStart(10)}  ${percent(step.share).padStart(7)}  ${'#'.repeat(Math.round(step.share * BAR_LETTERS))}`,
  );
  return [
    title,
    `The limit, ${roof}, allows ${formatSignificant(prediction.roofTokensPerSecond)} tokens/s; expected are ${formatSignificant(prediction.tokensPerSecond)} (${formatSignificant(prediction.low)} to ${formatSignificant(prediction.high)}), ${percent(limit / prediction.seconds)} of the time of ${unit} being the limit itself.`,
    ...lines,
    `  ${'expected'.padEnd(width)}  ${milliseconds(prediction.seconds).padStart(10)}  ${percent(1).padStart(7)}`,
    `  basis: ${prediction.basis}`,
  ].join('\n');
}

/** Letters of the longest bar. */
const BAR_LETTERS = 40;
const milliseconds = (value: number): string => `${formatSignificant(value * 1e3)} ms`;

const SVG = { width: 960, row: 30, left: 440, right: 130, top: 64, bar: 18 } as const;
const COLOURS = { limit: '#2f6f9f', loss: '#d9822b', whole: '#444444' } as const;

/** The waterfall as an SVG picture. */
export function waterfallSvg({ title, prediction, steps, roof }: Waterfall): string {
  const plot = SVG.width - SVG.left - SVG.right;
  const whole = prediction.seconds;
  let reached = 0;
  const bars = steps.map((step, index) => {
    const from = reached;
    reached += step.seconds;
    return bar(
      index,
      step.title,
      from / whole,
      step.seconds / whole,
      COLOURS[step.kind],
      `${milliseconds(step.seconds)}, ${percent(step.share)}`,
    );
  });
  bars.push(bar(steps.length, 'expected', 0, 1, COLOURS.whole, milliseconds(whole)));
  function bar(
    index: number,
    name: string,
    start: number,
    share: number,
    colour: string,
    label: string,
  ): string {
    const y = SVG.top + index * SVG.row;
    const x = SVG.left + start * plot;
    const width = Math.max(1, share * plot);
    return `<text x="${SVG.left - 10}" y="${y + 14}" text-anchor="end">${escaped(name)}</text><rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${SVG.bar}" fill="${colour}"/><text x="${(x + width + 6).toFixed(1)}" y="${y + 14}">${escaped(label)}</text>`;
  }
  const height = SVG.top + (steps.length + 1) * SVG.row + 10;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${SVG.width}" height="${height}" viewBox="0 0 ${SVG.width} ${height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#ffffff"/><text x="16" y="24" font-size="16" font-weight="bold">${escaped(title)}</text><text x="16" y="44">limit ${escaped(roof)}: ${formatSignificant(prediction.roofTokensPerSecond)} tokens/s; expected ${formatSignificant(prediction.tokensPerSecond)} (${formatSignificant(prediction.low)} to ${formatSignificant(prediction.high)})</text>${bars.join('')}</svg>\n`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
