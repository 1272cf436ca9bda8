import { attainable, type Roofline } from '../measure/index.ts';
import {
  flopPerSecond,
  formatBandwidth,
  formatFlopPerSecond,
  formatSignificant,
  type BytesPerSecond,
} from '../units/index.ts';
import { decades, frameOf, place } from './roofline-scale.ts';

const SIZE = { width: 900, height: 560 } as const;
const PLOT = { left: 110, right: 700, top: 50, bottom: 490 } as const;
/** Okabe and Ito's palette, told apart by people who see colours differently. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'] as const;
const INK = '#222222';
const FAINT = '#dddddd';
const GREY = '#777777';
/** Lines of text closer than this would overlap. */
const LINE_HEIGHT = 17;

/** The roofline as a picture; null when there is nothing to draw. */
export function rooflineSvg(line: Roofline, title: string): string | null {
  const frame = frameOf(line);
  if (frame === null) return null;
  const x = (value: number): number => PLOT.left + place(value, frame.intensity) * (PLOT.right - PLOT.left);
  const y = (value: number): number => PLOT.bottom - place(value, frame.rate) * (PLOT.bottom - PLOT.top);
  const top = Math.max(...line.roofs.map(({ rate }) => rate));
  const shapes = [
    ...decades(frame.intensity).flatMap((value) => [
      segment(x(value), PLOT.top, x(value), PLOT.bottom, FAINT, 1),
      text(x(value), PLOT.bottom + 20, formatSignificant(value, 1), 'middle'),
    ]),
    ...decades(frame.rate).flatMap((value) => [
      segment(PLOT.left, y(value), PLOT.right, y(value), FAINT, 1),
      text(PLOT.left - 10, y(value) + 5, formatFlopPerSecond(flopPerSecond(value)), 'end'),
    ]),
    text((PLOT.left + PLOT.right) / 2, PLOT.bottom + 48, 'operations for each byte (FLOP/byte)', 'middle'),
    text(PLOT.left, 28, title, 'start', 16),
    ...line.slopes.flatMap(({ label, rate }, index) => slope(label, rate, index)),
    ...roofLines(),
    ...line.points.flatMap(({ label, kind, flopPerByte, rate }) => [
      kind === 'pp'
        ? `<rect x="${round(x(flopPerByte) - 5)}" y="${round(y(rate) - 5)}" width="10" height="10" fill="${INK}"/>`
        : `<circle cx="${round(x(flopPerByte))}" cy="${round(y(rate))}" r="5.5" fill="${INK}"/>`,
      // A label that would run out of the plot stands on the other side of its mark.
      x(flopPerByte) > (PLOT.left + PLOT.right) / 2
        ? text(x(flopPerByte) - 10, y(rate) + 20, label, 'end', 12)
        : text(x(flopPerByte) + 10, y(rate) + 16, label, 'start', 12),
    ]),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${SIZE.width}" height="${SIZE.height}" viewBox="0 0 ${SIZE.width} ${SIZE.height}" font-family="sans-serif" font-size="13">`,
    `<rect width="${SIZE.width}" height="${SIZE.height}" fill="#ffffff"/>`,
    ...shapes,
    '</svg>',
    '',
  ].join('\n');

  /** From the left edge up to the highest roof. */
  function slope(label: string, rate: BytesPerSecond, index: number): string[] {
    const [low, high] = frame?.intensity ?? [1, 1];
    const bottom = frame?.rate[0] ?? 1;
    const from = Math.max(low, bottom / rate);
    const to = Math.min(high, top / rate);
    if (to <= from) return [];
    const isMemory = index === line.slopes.length - 1;
    const [x1, y1, x2, y2] = [
      x(from),
      y(attainable(flopPerSecond(top), rate, from)),
      x(to),
      y(attainable(flopPerSecond(top), rate, to)),
    ];
    const angle = (Math.atan2(y2 - y1, x2 - x1) * 180) / Math.PI;
    // Slopes are parallel and may lie close: each carries its name at another place.
    const share = 0.25 + (0.5 * index) / Math.max(1, line.slopes.length - 1 || 1);
    const [labelX, labelY] = [x1 + (x2 - x1) * share, y1 + (y2 - y1) * share];
    return [
      segment(x1, y1, x2, y2, isMemory ? INK : GREY, isMemory ? 2.5 : 1.2),
      `<text transform="translate(${round(labelX)} ${round(labelY - 5)}) rotate(${round(angle)})" fill="${isMemory ? INK : GREY}" font-size="12" text-anchor="middle">${escape(`${label} ${formatBandwidth(rate)}`)}</text>`,
    ];
  }

  /** Each from where memory reaches it; the labels are moved apart where roofs lie close. */
  function roofLines(): string[] {
    const memory = line.slopes.at(-1);
    let lastLabel = Number.NEGATIVE_INFINITY;
    return line.roofs
      .map((roof, index) => ({ ...roof, colour: COLOURS[index % COLOURS.length] ?? INK }))
      .toSorted((a, b) => b.rate - a.rate)
      .flatMap(({ label, rate, colour }) => {
        const from = memory === undefined ? PLOT.left : Math.max(PLOT.left, x(rate / memory.rate));
        const labelY = Math.max(y(rate) + 4, lastLabel + LINE_HEIGHT);
        lastLabel = labelY;
        return [
          segment(from, y(rate), PLOT.right, y(rate), colour, 2),
          segment(PLOT.right, y(rate), PLOT.right + 8, labelY - 4, colour, 1),
          `<text x="${PLOT.right + 12}" y="${round(labelY)}" fill="${colour}">${escape(`${label} ${formatFlopPerSecond(rate)}`)}</text>`,
        ];
      });
  }
}

const round = (value: number): string => value.toFixed(1);

const segment = (x1: number, y1: number, x2: number, y2: number, colour: string, width: number): string =>
  `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="${colour}" stroke-width="${width}"/>`;

const text = (x: number, y: number, content: string, anchor: string, size = 13): string =>
  `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" font-size="${size}" fill="${INK}">${escape(content)}</text>`;

const escape = (content: string): string =>
  content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
