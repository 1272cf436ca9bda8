import { attainable, type Roofline } from '../measure/index.ts';
import { flopPerSecond, formatBandwidth, formatFlopPerSecond, formatSignificant } from '../units/index.ts';
import { decades, frameOf, place } from './roofline-scale.ts';

const WIDTH = 64;
const HEIGHT = 16;
/** Room for `36.9 TFLOP/s`. */
const LABEL_WIDTH = 13;
const MARKS = 'abcdefghijklmnopqrstuvwxyz';

/** Roofs and models are measured minutes apart, and a shared machine is not as fast at all times. */
const ABOVE = ' (above the roof: the machine was faster when this was measured)';

/** The roofline in characters: the slope of memory, the highest and the lowest roof, and a letter for each model. */
export function rooflineChart(line: Roofline): string[] {
  const frame = frameOf(line);
  const memory = line.slopes.at(-1);
  if (frame === null || memory === undefined) return [];
  const roofs = line.roofs.toSorted((a, b) => b.rate - a.rate);
  const drawn = [roofs[0], roofs.at(-1)].filter(
    (roof, index, all) => roof !== undefined && all.indexOf(roof) === index,
  );
  const [highest] = roofs;
  const isAbove = ({ rate, flopPerByte }: Roofline['points'][number]): boolean =>
    highest !== undefined && rate > attainable(highest.rate, memory.rate, flopPerByte);
  const cells = Array.from({ length: HEIGHT }, () => Array.from({ length: WIDTH }, () => ' '));
  const put = (x: number, rate: number, mark: string): void => {
    const row = HEIGHT - 1 - Math.round(place(rate, frame.rate) * (HEIGHT - 1));
    const line = cells[row];
    if (line !== undefined && x >= 0 && x < WIDTH) line[x] = mark;
  };
  const [low, high] = frame.intensity;
  for (let x = 0; x < WIDTH; x += 1) {
    const intensity = low * (high / low) ** (x / (WIDTH - 1));
    for (const roof of drawn) {
      if (roof === undefined) continue;
      const limit = attainable(roof.rate, memory.rate, intensity);
      put(x, limit, limit < roof.rate ? '/' : '-');
    }
  }
  for (const [index, point] of line.points.entries()) {
    put(
      Math.round(place(point.flopPerByte, frame.intensity) * (WIDTH - 1)),
      point.rate,
      MARKS[index % MARKS.length] ?? '*',
    );
  }
  const labels = new Map(
    decades(frame.rate).map((rate) => [
      HEIGHT - 1 - Math.round(place(rate, frame.rate) * (HEIGHT - 1)),
      formatFlopPerSecond(flopPerSecond(rate)),
    ]),
  );
  const axis = Array.from({ length: WIDTH + 6 }, () => ' ');
  for (const value of decades(frame.intensity)) {
    const at = Math.round(place(value, frame.intensity) * (WIDTH - 1));
    for (const [offset, character] of formatSignificant(value, 1).split('').entries())
      axis[at + offset] = character;
  }
  return [
    ...cells.map(
      (row, index) => `${(labels.get(index) ?? '').padStart(LABEL_WIDTH)} |${row.join('').trimEnd()}`,
    ),
    `${' '.repeat(LABEL_WIDTH)} +${'-'.repeat(WIDTH)}`,
    `${' '.repeat(LABEL_WIDTH + 2)}${axis.join('').trimEnd()}  FLOP/byte`,
    `slope: ${formatBandwidth(memory.rate)} from memory; roofs: ${drawn.flatMap((roof) => (roof === undefined ? [] : `${formatFlopPerSecond(roof.rate)} (${roof.label})`)).join(' and ')}`,
    ...line.points.map(
      (point, index) =>
        `${MARKS[index % MARKS.length] ?? '*'}: ${point.label}, ${formatSignificant(point.flopPerByte)} FLOP/byte, ${formatFlopPerSecond(point.rate)}${isAbove(point) ? ABOVE : ''}`,
    ),
  ];
}
