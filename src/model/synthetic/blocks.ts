import { GGML_TYPES, type GgmlTypeName } from '../ggml-types.ts';
import { toBrainFloat, toHalf } from './half-float.ts';
import type { RandomBits } from './random-bits.ts';
import { fillRandomCodes, SCALED_CODES_TYPES } from './random-codes.ts';

/**
 * Writes random blocks of one type over a buffer. The weights that they stand for have mean 0 and the wanted
 * standard deviation; the layouts are those of ggml/src/ggml-common.h (release v0.5.0).
 */
type BlockFiller = (target: Uint8Array, deviation: number, random: RandomBits) => void;

function viewOf(target: Uint8Array): DataView {
  return new DataView(target.buffer, target.byteOffset, target.byteLength);
}

/** Mean square of a whole number that is uniform over [low, high]. */
function uniformSquare(low: number, high: number): number {
  const mean = (low + high) / 2;
  const values = high - low + 1;
  return (values * values - 1) / 12 + mean * mean;
}

function gaussians(
  valueBytes: number,
  store: (view: DataView, at: number, value: number) => void,
): BlockFiller {
  return (target, deviation, random) => {
    const view = viewOf(target);
    for (let at = 0; at < target.byteLength; at += valueBytes) store(view, at, random.gaussian() * deviation);
  };
}

/** Scales differ from block to block, as in a real file, over this share of their mean to either side. */
const SCALE_SPREAD = 0.4;
/** Mean square of a factor uniform over 1 - SCALE_SPREAD to 1 + SCALE_SPREAD. */
const SPREAD_SQUARE = 1 + SCALE_SPREAD ** 2 / 3;

function spreadFactor(random: RandomBits): number {
  return 1 + SCALE_SPREAD * (2 * random.uniform() - 1);
}

function randomSign(random: RandomBits): number {
  return random.word() >>> 31 === 0 ? 1 : -1;
}

/** Types with one scale a block: the codes reach one step further down than up, so the scale has a random sign. */
function signedBlocks(typeName: 'Q4_0' | 'Q5_0', codeSquare: number): BlockFiller {
  return (target, deviation, random) => {
    random.fill(target);
    const view = viewOf(target);
    const scale = deviation / Math.sqrt(codeSquare * SPREAD_SQUARE);
    for (let at = 0; at < target.byteLength; at += GGML_TYPES[typeName].blockBytes) {
      view.setUint16(at, toHalf(scale * spreadFactor(random) * randomSign(random)), true);
    }
  };
}

/** Codes from 0 on with their middle taken away by the block's minimum. */
function blocksWithMinimum(typeName: 'Q4_1' | 'Q5_1', largestCode: number): BlockFiller {
  const middle = largestCode / 2;
  return (target, deviation, random) => {
    random.fill(target);
    const view = viewOf(target);
    const scale = deviation / Math.sqrt(uniformSquare(-middle, middle) * SPREAD_SQUARE);
    for (let at = 0; at < target.byteLength; at += GGML_TYPES[typeName].blockBytes) {
      const own = scale * spreadFactor(random);
      view.setUint16(at, toHalf(own), true);
      view.setUint16(at + 2, toHalf(-middle * own), true);
    }
  };
}

/** Mean square of the sum of two numbers that are uniform over 0 to 127, minus 127: what fillQ8 writes. */
const Q8_CODE_SQUARE = (2 * (128 * 128 - 1)) / 12;

/** Triangular codes from -127 to 127; -128, which the quantiser never writes, would overflow in some kernels. */
function fillQ8(target: Uint8Array, deviation: number, random: RandomBits): void {
  const view = viewOf(target);
  const scale = deviation / Math.sqrt(Q8_CODE_SQUARE * SPREAD_SQUARE);
  const { blockBytes } = GGML_TYPES.Q8_0;
  for (let at = 0; at < target.byteLength; at += blockBytes) {
    view.setUint16(at, toHalf(scale * spreadFactor(random)), true);
    for (let code = at + 2; code < at + blockBytes; code += 2) {
      const word = random.word();
      view.setInt8(code, (word & 127) + ((word >>> 7) & 127) - 127);
      view.setInt8(code + 1, ((word >>> 14) & 127) + ((word >>> 21) & 127) - 127);
    }
  }
}

/** Scales of the sub-blocks are drawn from this range of the 6-bit codes: none vanishes. */
const SUB_SCALE = { low: 32, high: 63 } as const;
const SUB_BLOCKS = 8;

/**
 * Q4_K and Q5_K: weight = d * scale * code - dmin * minimum. With minimum = scale and dmin = d * (largest code)/2,
 * every sub-block has the mean 0.
 */
function fillWithScalesAndMinimums(typeName: 'Q4_K' | 'Q5_K', largestCode: number): BlockFiller {
  const codeSquare = uniformSquare(-largestCode / 2, largestCode / 2);
  const scaleSquare = uniformSquare(SUB_SCALE.low, SUB_SCALE.high);
  return (target, deviation, random) => {
    random.fill(target);
    const view = viewOf(target);
    const scale = deviation / Math.sqrt(codeSquare * scaleSquare * SPREAD_SQUARE);
    for (let at = 0; at < target.byteLength; at += GGML_TYPES[typeName].blockBytes) {
      const own = scale * spreadFactor(random);
      view.setUint16(at, toHalf(own), true);
      view.setUint16(at + 2, toHalf((largestCode / 2) * own), true);
      packScalesAndMinimums(target, at + 4, random);
    }
  };
}

/** Eight 6-bit scales and the same eight as minimums, in the 12 bytes that `get_scale_min_k4` reads. */
function packScalesAndMinimums(target: Uint8Array, at: number, random: RandomBits): void {
  const half = SUB_BLOCKS / 2;
  for (let index = 0; index < half; index += 1) {
    const first = SUB_SCALE.low + random.below(SUB_SCALE.high - SUB_SCALE.low + 1);
    const second = SUB_SCALE.low + random.below(SUB_SCALE.high - SUB_SCALE.low + 1);
    const packed = first | ((second >>> 4) << 6);
    target[at + index] = packed;
    target[at + half + index] = packed;
    target[at + SUB_BLOCKS + index] = (second & 0xf) | ((second & 0xf) << 4);
  }
}

/** Sub-block scales of Q2_K, four bits: none vanishes. The minimum of a sub-block has the same four bits. */
const Q2_SUB_SCALE = { low: 8, high: 15 } as const;
const Q2_SUB_BLOCKS = 16;
const Q2_SCALE_AT = 80;
const Q2_MIDDLE_CODE = 1.5;

function fillQ2K(target: Uint8Array, deviation: number, random: RandomBits): void {
  random.fill(target);
  const view = viewOf(target);
  const scaleSquare = uniformSquare(Q2_SUB_SCALE.low, Q2_SUB_SCALE.high);
  const scale =
    deviation / Math.sqrt(uniformSquare(-Q2_MIDDLE_CODE, Q2_MIDDLE_CODE) * scaleSquare * SPREAD_SQUARE);
  for (let at = 0; at < target.byteLength; at += GGML_TYPES.Q2_K.blockBytes) {
    for (let index = 0; index < Q2_SUB_BLOCKS; index += 1) {
      const size = Q2_SUB_SCALE.low + random.below(Q2_SUB_SCALE.high - Q2_SUB_SCALE.low + 1);
      target[at + index] = size | (size << 4);
    }
    const own = scale * spreadFactor(random);
    view.setUint16(at + Q2_SCALE_AT, toHalf(own), true);
    view.setUint16(at + Q2_SCALE_AT + 2, toHalf(Q2_MIDDLE_CODE * own), true);
  }
}

/** Sub-block scales of Q6_K, 8 bits with a sign; codes reach from -32 to 31, so that the signs are random. */
const Q6_SUB_SCALE = { low: 64, high: 127 } as const;
const Q6_SCALES_AT = 192;
const Q6_SCALES = 16;

function fillQ6K(target: Uint8Array, deviation: number, random: RandomBits): void {
  random.fill(target);
  const view = viewOf(target);
  const scaleSquare = uniformSquare(Q6_SUB_SCALE.low, Q6_SUB_SCALE.high);
  const scale = deviation / Math.sqrt(uniformSquare(-32, 31) * scaleSquare * SPREAD_SQUARE);
  for (let at = 0; at < target.byteLength; at += GGML_TYPES.Q6_K.blockBytes) {
    for (let index = 0; index < Q6_SCALES; index += 1) {
      const size = Q6_SUB_SCALE.low + random.below(Q6_SUB_SCALE.high - Q6_SUB_SCALE.low + 1);
      view.setInt8(at + Q6_SCALES_AT + index, size * randomSign(random));
    }
    view.setUint16(at + Q6_SCALES_AT + Q6_SCALES, toHalf(scale * spreadFactor(random)), true);
  }
}

/** Mean square of the sixteen FP4 values 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives. */
const FP4_SQUARE = (0 + 0.25 + 1 + 2.25 + 4 + 9 + 16 + 36) / 8;
/** `E8M0`: an exponent of two, 127 for 1. */
const E8M0_BIAS = 127;

/** Scales are powers of two: the two around the wanted one are mixed so that the mean square is right. */
function fillMxfp4(target: Uint8Array, deviation: number, random: RandomBits): void {
  random.fill(target);
  const wanted = deviation / Math.sqrt(FP4_SQUARE);
  const exponent = Math.floor(Math.log2(wanted));
  const shareOfLarger = ((wanted / 2 ** exponent) ** 2 - 1) / 3;
  for (let at = 0; at < target.byteLength; at += GGML_TYPES.MXFP4.blockBytes) {
    target[at] = E8M0_BIAS + exponent + (random.uniform() < shareOfLarger ? 1 : 0);
  }
}

/** Sub-blocks of NVFP4, each with a scale of its own. */
const NVFP4_SUB_BLOCKS = 4;

/** `ggml_ue4m3_to_fp32` (ggml-impl.h, v0.5.0), times two since its FP4 values are stored doubled. */
const UE4M3_VALUES = Array.from({ length: 127 }, (_, code) => {
  const exponent = code >>> 3;
  const mantissa = code & 7;
  return exponent === 0 ? mantissa * 2 ** -9 : (1 + mantissa / 8) * 2 ** (exponent - 7);
});

/** Scales of eight bits: the two around the wanted one are mixed so that the mean square is right. */
function fillNvfp4(target: Uint8Array, deviation: number, random: RandomBits): void {
  random.fill(target);
  const wanted = deviation / Math.sqrt(FP4_SQUARE);
  const above = Math.max(
    1,
    UE4M3_VALUES.findIndex((value) => value > wanted),
  );
  const [low, high] = [UE4M3_VALUES[above - 1] ?? 0, UE4M3_VALUES[above] ?? 0];
  const shareOfLarger = (wanted ** 2 - low ** 2) / (high ** 2 - low ** 2);
  for (let at = 0; at < target.byteLength; at += GGML_TYPES.NVFP4.blockBytes) {
    for (let sub = at; sub < at + NVFP4_SUB_BLOCKS; sub += 1) {
      target[sub] = random.uniform() < shareOfLarger ? above : above - 1;
    }
  }
}

const RANDOM_CODE_FILLERS: Partial<Record<GgmlTypeName, BlockFiller>> = Object.fromEntries(
  SCALED_CODES_TYPES.map((typeName): [GgmlTypeName, BlockFiller] => [
    typeName,
    (target, deviation, random) =>
      fillRandomCodes(
        typeName,
        target,
        deviation / Math.sqrt(SPREAD_SQUARE),
        random,
        (source) => spreadFactor(source) * randomSign(source),
      ),
  ]),
);

const FILLERS: Partial<Record<GgmlTypeName, BlockFiller>> = {
  F32: gaussians(4, (view, at, value) => view.setFloat32(at, value, true)),
  F16: gaussians(2, (view, at, value) => view.setUint16(at, toHalf(value), true)),
  BF16: gaussians(2, (view, at, value) => view.setUint16(at, toBrainFloat(value), true)),
  Q4_0: signedBlocks('Q4_0', uniformSquare(-8, 7)),
  Q5_0: signedBlocks('Q5_0', uniformSquare(-16, 15)),
  Q4_1: blocksWithMinimum('Q4_1', 15),
  Q5_1: blocksWithMinimum('Q5_1', 31),
  Q8_0: fillQ8,
  Q2_K: fillQ2K,
  Q4_K: fillWithScalesAndMinimums('Q4_K', 15),
  Q5_K: fillWithScalesAndMinimums('Q5_K', 31),
  Q6_K: fillQ6K,
  MXFP4: fillMxfp4,
  NVFP4: fillNvfp4,
  ...RANDOM_CODE_FILLERS,
};

/** The types of which random blocks can be made. */
export const SYNTHETIC_TYPES = Object.keys(FILLERS) as readonly GgmlTypeName[];

/**
 * Fills a buffer with random blocks.
 * @param target - a whole number of blocks.
 * @param deviation - the standard deviation of the weights; positive.
 * @throws RangeError when there is no generator for the type or the buffer is no whole number of blocks.
 */
export function fillRandomBlocks(
  typeName: GgmlTypeName,
  target: Uint8Array,
  deviation: number,
  random: RandomBits,
): void {
  const filler = FILLERS[typeName];
  if (filler === undefined) throw new RangeError(`no random blocks can be made of the type ${typeName}`);
  if (target.byteLength % GGML_TYPES[typeName].blockBytes !== 0) {
    throw new RangeError(`${target.byteLength} bytes are no whole number of ${typeName} blocks`);
  }
  filler(target, deviation, random);
}
