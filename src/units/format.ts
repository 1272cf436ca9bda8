import type { Bytes, BytesPerSecond, FlopPerSecond, Fraction, Seconds } from './quantity.ts';

/** `digits` significant digits, without an exponent and without inventing precision: 0.0123, 1.23, 12.3, 123, 1234. */
export function formatSignificant(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return '0';
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  const decimals = Math.max(0, digits - 1 - magnitude);
  const text = value.toFixed(Math.min(decimals, 20));
  // Rounding can carry into the next decade (9.996 -> 10.00): one decimal less is then enough.
  const carried = Math.floor(Math.log10(Math.abs(Number(text)))) > magnitude;
  return carried && decimals > 0 ? value.toFixed(decimals - 1) : text;
}

/** Capacity in binary units: `1.50 GiB`, `512 MiB`, `96 B`. */
export function formatBytes(value: Bytes): string {
  const scales = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;
  let scale = 0;
  let scaled: number = value;
  while (Math.abs(scaled) >= 1024 && scale < scales.length - 1) {
    scaled /= 1024;
    scale += 1;
  }
  return `${scale === 0 ? scaled.toFixed(0) : formatSignificant(scaled)} ${scales[scale]}`;
}

/** Bandwidth in decimal units, as vendors state it: `212 GB/s`. */
export function formatBandwidth(value: BytesPerSecond): string {
  return value >= 1e12 ? `${formatSignificant(value / 1e12)} TB/s` : `${formatSignificant(value / 1e9)} GB/s`;
}

/** A matmul rate: `36.9 TFLOP/s`, `85.1 GFLOP/s`. The caller names the data type beside it. */
export function formatFlopPerSecond(value: FlopPerSecond): string {
  return value >= 1e12
    ? `${formatSignificant(value / 1e12)} TFLOP/s`
    : `${formatSignificant(value / 1e9)} GFLOP/s`;
}

/** `83 %`; below ten percent one decimal is kept. */
export function formatFraction(value: Fraction): string {
  const percent = value * 100;
  return `${Math.abs(percent) < 10 ? percent.toFixed(1) : percent.toFixed(0)} %`;
}

/** A duration for people: `850 ms`, `12.3 s`, `4 min 05 s`, `2 h 10 min`. */
export function formatSeconds(value: Seconds): string {
  if (value < 1e-3) return `${formatSignificant(value * 1e6)} µs`;
  if (value < 1) return `${formatSignificant(value * 1e3)} ms`;
  if (value < 99.5) return `${formatSignificant(value)} s`;
  const total = Math.round(value);
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor((total % 3600) / 60);
  const rest = total % 60;
  const two = (part: number): string => String(part).padStart(2, '0');
  return hours > 0 ? `${hours} h ${two(minutes)} min` : `${minutes} min ${two(rest)} s`;
}
