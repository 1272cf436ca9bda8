import { formatSignificant } from '../units/index.ts';

/** A value with the interval around it. */
interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** `688 (478–992)`: short enough for columns side by side. */
export function intervalText({ value, low, high }: Interval): string {
  return `${formatSignificant(value)} (${formatSignificant(low)}–${formatSignificant(high)})`;
}

/** Units of durations with the seconds from which each is used: ten of the unit before it are still easy to read. */
const DURATION_UNITS = [
  { name: 'h', seconds: 3600, from: 36_000 },
  { name: 'min', seconds: 60, from: 600 },
  { name: 's', seconds: 1, from: 0.9995 },
  { name: 'ms', seconds: 1e-3, from: 0 },
] as const;

/** `757 ms (528–1090)`: one unit for all three, that of the value. */
export function durationText({ value, low, high }: Interval): string {
  const unit = DURATION_UNITS.find(({ from }) => value >= from) ?? DURATION_UNITS[3];
  const shown = (seconds: number): string => formatSignificant(seconds / unit.seconds);
  return `${shown(value)} ${unit.name} (${shown(low)}–${shown(high)})`;
}
