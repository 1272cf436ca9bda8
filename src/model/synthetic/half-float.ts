const scratch = new DataView(new ArrayBuffer(4));

/** Bits of the nearest IEEE half-precision number; values beyond its range become the largest finite one. */
export function toHalf(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = Math.abs(value);
  if (magnitude >= LARGEST_HALF) return sign | 0x7bff;
  if (magnitude < SMALLEST_NORMAL_HALF) return sign | Math.round(magnitude / SMALLEST_HALF);
  const exponent = ((bits >>> 23) & 0xff) - 127 + 15;
  const rounded = ((exponent << 10) | ((bits >>> 13) & 0x3ff)) + ((bits >>> 12) & 1);
  return sign | rounded;
}

const LARGEST_HALF = 65504;
const SMALLEST_NORMAL_HALF = 2 ** -14;
const SMALLEST_HALF = 2 ** -24;

/** The number that the bits of a half-precision number stand for. */
export function fromHalf(half: number): number {
  const sign = (half & 0x8000) === 0 ? 1 : -1;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * SMALLEST_HALF;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Bits of the nearest bfloat16: the upper half of a single-precision number. The value is finite. */
export function toBrainFloat(value: number): number {
  scratch.setFloat32(0, value);
  return ((scratch.getUint32(0) + 0x8000) >>> 16) & 0xffff;
}
