import type { Roofline } from '../measure/index.ts';

/** The part of the plane that a roofline's picture shows; both axes are logarithmic. */
export interface RooflineFrame {
  readonly intensity: readonly [low: number, high: number];
  readonly rate: readonly [low: number, high: number];
}

/** Beside the outermost thing on each side, as a factor. */
const MARGIN = 2;

/** A frame with every roof, ridge and point in it; null when there is nothing to draw. */
export function frameOf({ roofs, slopes, ridges, points }: Roofline): RooflineFrame | null {
  const memory = slopes.at(-1);
  if (roofs.length === 0 || memory === undefined) return null;
  const intensities = [
    ...ridges.map(({ flopPerByte }) => flopPerByte),
    ...points.map(({ flopPerByte }) => flopPerByte),
  ];
  const low = Math.min(1, ...intensities) / MARGIN;
  const high = Math.max(100, ...intensities) * MARGIN;
  const top = Math.max(...roofs.map(({ rate }) => rate), ...points.map(({ rate }) => rate)) * MARGIN;
  const bottom = Math.min(memory.rate * low, ...points.map(({ rate }) => rate)) / MARGIN;
  return { intensity: [low, high], rate: [bottom, top] };
}

/** Where a value lies between two others on a logarithmic axis, from 0 to 1. */
export function place(value: number, [low, high]: readonly [number, number]): number {
  return Math.log(value / low) / Math.log(high / low);
}

/** Powers of ten within a range. */
export function decades([low, high]: readonly [number, number]): number[] {
  const values: number[] = [];
  for (let power = Math.ceil(Math.log10(low)); 10 ** power <= high; power += 1) values.push(10 ** power);
  return values;
}
