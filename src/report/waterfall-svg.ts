import { formatSignificant } from '../units/index.ts';
import { BASIS_MEANINGS } from './basis-text.ts';
import { intervalText } from './interval-text.ts';
import { milliseconds, percent, type Waterfall } from './waterfall.ts';

const SIZE = { plot: 400, row: 28, right: 190, head: 106, bar: 16, gap: 34 } as const;
/** Lines of the head below its top, and from the left edge. */
const HEAD = { x: 16, title: 24, subject: 46, roof: 66, basis: 84 } as const;
/** Pixels of a letter in a sans-serif of 12 pixels, wide ones reckoned with. */
const LETTER = 6.8;
/** Between a bar and its words. */
const BESIDE = 8;
/** A bar narrower than this could not be seen. */
const LEAST_BAR = 1.5;

/**
 * Colours for light and for dark surroundings: whoever shows the picture says which by `prefers-color-scheme`. The two of
 * the bars are told apart by people who see colours differently (Okabe and Ito's palette, and lighter tones of it).
 */
const STYLE = [
  'text{fill:#222222}.faint{fill:#5a5a5a}.ground{fill:#ffffff}.limit{fill:#0072b2}.loss{fill:#d55e00}.whole{fill:#555555}',
  '@media (prefers-color-scheme:dark){text{fill:#e8e8e8}.faint{fill:#b0b0b0}.ground{fill:#14171a}.limit{fill:#56b4e9}.loss{fill:#e69f00}.whole{fill:#9a9a9a}}',
].join('');

/** Waterfalls as one SVG picture, below each other. */
export function waterfallSvg(waterfalls: readonly Waterfall[]): string {
  const longest = Math.max(...waterfalls.flatMap(({ steps }) => steps.map(({ title }) => title.length)));
  const left = Math.ceil(HEAD.x + longest * LETTER + BESIDE);
  const width = left + SIZE.plot + SIZE.right;
  const panels: string[] = [];
  let top = 0;
  for (const waterfall of waterfalls) {
    panels.push(panel(waterfall, top, left));
    top += SIZE.head + (waterfall.steps.length + 1) * SIZE.row + SIZE.gap;
  }
  const height = top - SIZE.gap + HEAD.x;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<style>${STYLE}</style>`,
    `<rect class="ground" width="100%" height="100%"/>`,
    ...panels,
    '</svg>',
    '',
  ].join('\n');
}

function panel(waterfall: Waterfall, top: number, left: number): string {
  const { subject, metric, prediction, steps, roof, reached } = waterfall;
  const whole = prediction.seconds;
  const { tokensPerSecond, low, high, roofTokensPerSecond, basis } = prediction;
  const what = metric === 'generation' ? 'a token' : 'a prompt';
  const speed = `${formatSignificant(tokensPerSecond)} tokens/s`;
  let passed = 0;
  const bars = steps.map((step, index) => {
    const start = passed / whole;
    passed += step.seconds;
    const label = `${milliseconds(step.seconds)}, ${percent(step.share)}`;
    return bar({ top, left }, index, {
      name: step.title,
      start,
      share: step.seconds / whole,
      kind: step.kind,
      label,
    });
  });
  const total = {
    name: 'expected',
    start: 0,
    share: 1,
    kind: 'whole',
    label: `${milliseconds(whole)}, ${speed}`,
  };
  return [
    line(top + HEAD.title, `Where the time of ${what} goes: ${milliseconds(whole)}, ${speed}`, 'bold'),
    line(top + HEAD.subject, [subject.model, subject.machine, subject.backend, subject.test].join(' · ')),
    line(
      top + HEAD.roof,
      `The limit, ${roof}, allows ${formatSignificant(roofTokensPerSecond)} tokens/s; expected ${intervalText({ value: tokensPerSecond, low, high })}${reached === null ? '' : `, ${reached} of it`}`,
      'faint',
    ),
    line(top + HEAD.basis, `${basis}: ${BASIS_MEANINGS[basis]}`, 'faint'),
    ...bars,
    bar({ top, left }, steps.length, total),
  ].join('\n');
}

function line(y: number, text: string, look: 'bold' | 'faint' | 'plain' = 'plain'): string {
  const attributes = { bold: ' font-size="16" font-weight="bold"', faint: ' class="faint"', plain: '' }[look];
  return `<text x="${HEAD.x}" y="${y}"${attributes}>${escaped(text)}</text>`;
}

interface Bar {
  readonly name: string;
  readonly start: number;
  readonly share: number;
  readonly kind: string;
  readonly label: string;
}

function bar(
  { top, left }: { top: number; left: number },
  index: number,
  { name, start, share, kind, label }: Bar,
): string {
  const y = top + SIZE.head + index * SIZE.row;
  const x = left + start * SIZE.plot;
  const width = Math.max(LEAST_BAR, share * SIZE.plot);
  const baseline = y + SIZE.bar - 4;
  return [
    `<text x="${left - BESIDE}" y="${baseline}" text-anchor="end">${escaped(name)}</text>`,
    `<rect class="${kind}" x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${SIZE.bar}"/>`,
    `<text x="${(x + width + BESIDE).toFixed(1)}" y="${baseline}">${escaped(label)}</text>`,
  ].join('');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
