import { GGML_TYPES, type GgmlTypeName } from '../ggml-types.ts';
import { toHalf } from './half-float.ts';
import type { RandomBits } from './random-bits.ts';

/** A type whose blocks may hold any bits as codes and sub-scales, under one scale in half precision. */
interface ScaledCodes {
  /** Byte of a block at which the scale lies; null: IQ1_M spreads it over four sub-scales. */
  readonly scaleAt: number | null;
  /**
   * Root mean square of the weights of random blocks whose scale is 1: read from 40,000 or more blocks by
   * `ggml_get_type_traits(type)->to_float` of llama.cpp release v0.5.0; a test holds the blocks against it.
   */
  readonly unitDeviation: number;
  /** Bits that the quantiser never writes are taken back. */
  readonly tidy?: (byte: number) => number;
}

/** Of the four 2-bit codes of a byte, 3 becomes 0: ternary types know -1, 0 and 1 alone. */
function withoutThrees(byte: number): number {
  const threes = byte & (byte >>> 1) & 0x55;
  return byte ^ (threes * 3);
}

const SCALED_CODES = {
  Q1_0: { scaleAt: 0, unitDeviation: 1 },
  Q2_0: { scaleAt: 0, unitDeviation: 1.2247 },
  Q3_K: { scaleAt: 108, unitDeviation: 43.34 },
  TQ1_0: { scaleAt: 52, unitDeviation: 0.8173 },
  TQ2_0: { scaleAt: 64, unitDeviation: 0.866, tidy: withoutThrees },
  IQ1_S: { scaleAt: 0, unitDeviation: 7.2 },
  IQ1_M: { scaleAt: null, unitDeviation: 7.2 },
  IQ2_XXS: { scaleAt: 0, unitDeviation: 53.36 },
  IQ2_XS: { scaleAt: 0, unitDeviation: 55.86 },
  IQ2_S: { scaleAt: 0, unitDeviation: 56.42 },
  IQ3_XXS: { scaleAt: 0, unitDeviation: 142.2 },
  IQ3_S: { scaleAt: 0, unitDeviation: 140.2 },
  IQ4_NL: { scaleAt: 0, unitDeviation: 67.44 },
  IQ4_XS: { scaleAt: 0, unitDeviation: 1245.6 },
} as const satisfies Partial<Record<GgmlTypeName, ScaledCodes>>;

type ScaledCodesType = keyof typeof SCALED_CODES;

/** The types that {@link fillRandomCodes} makes. */
export const SCALED_CODES_TYPES = Object.keys(SCALED_CODES) as readonly ScaledCodesType[];

/**
 * Fills a buffer with random codes under scales of the wanted size.
 * @param drawScale - the factor of a block, with its sign; its mean square is divided out by the caller.
 */
export function fillRandomCodes(
  typeName: ScaledCodesType,
  target: Uint8Array,
  unitScale: number,
  random: RandomBits,
  drawScale: (random: RandomBits) => number,
): void {
  const { scaleAt, unitDeviation, tidy }: ScaledCodes = SCALED_CODES[typeName];
  random.fill(target);
  if (tidy !== undefined) target.forEach((byte, at) => (target[at] = tidy(byte)));
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  for (let at = 0; at < target.byteLength; at += GGML_TYPES[typeName].blockBytes) {
    const scale = toHalf((unitScale / unitDeviation) * drawScale(random));
    if (scaleAt === null) spreadScale(view, at + IQ1_M_SUB_SCALES_AT, scale);
    else view.setUint16(at + scaleAt, scale, true);
  }
}

/** Byte of `scales` in `block_iq1_m`. */
const IQ1_M_SUB_SCALES_AT = 48;

/** IQ1_M: each of four 16-bit words has four bits of the scale above four sub-scales of three bits. */
function spreadScale(view: DataView, at: number, scale: number): void {
  for (let word = 0; word < 4; word += 1) {
    const subScales = view.getUint16(at + 2 * word, true) & 0xfff;
    view.setUint16(at + 2 * word, subScales | (((scale >>> (4 * word)) & 0xf) << 12), true);
  }
}
