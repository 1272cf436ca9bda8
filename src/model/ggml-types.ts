import { bytes, type Bytes } from '../units/index.ts';

/** How a ggml type stores a row: blocks of `blockSize` weights in `blockBytes` bytes. */
export interface GgmlType {
  /** The number in a GGUF file (`enum ggml_type`). */
  readonly id: number;
  readonly blockSize: number;
  readonly blockBytes: number;
}

const type = (id: number, blockSize: number, blockBytes: number): GgmlType => ({ id, blockSize, blockBytes });

/**
 * Every type of llama.cpp release v0.5.0 (commit de3ff815), as `ggml_blck_size` and `ggml_type_size` return them;
 * the layouts are the block structs of ggml/src/ggml-common.h.
 */
export const GGML_TYPES = {
  F32: type(0, 1, 4),
  F16: type(1, 1, 2),
  Q4_0: type(2, 32, 18),
  Q4_1: type(3, 32, 20),
  Q5_0: type(6, 32, 22),
  Q5_1: type(7, 32, 24),
  Q8_0: type(8, 32, 34),
  Q8_1: type(9, 32, 36),
  Q2_K: type(10, 256, 84),
  Q3_K: type(11, 256, 110),
  Q4_K: type(12, 256, 144),
  Q5_K: type(13, 256, 176),
  Q6_K: type(14, 256, 210),
  Q8_K: type(15, 256, 292),
  IQ2_XXS: type(16, 256, 66),
  IQ2_XS: type(17, 256, 74),
  IQ3_XXS: type(18, 256, 98),
  IQ1_S: type(19, 256, 50),
  IQ4_NL: type(20, 32, 18),
  IQ3_S: type(21, 256, 110),
  IQ2_S: type(22, 256, 82),
  IQ4_XS: type(23, 256, 136),
  I8: type(24, 1, 1),
  I16: type(25, 1, 2),
  I32: type(26, 1, 4),
  I64: type(27, 1, 8),
  F64: type(28, 1, 8),
  IQ1_M: type(29, 256, 56),
  BF16: type(30, 1, 2),
  TQ1_0: type(34, 256, 54),
  TQ2_0: type(35, 256, 66),
  MXFP4: type(39, 32, 17),
  NVFP4: type(40, 64, 36),
  Q1_0: type(41, 128, 18),
  Q2_0: type(42, 64, 18),
} as const satisfies Record<string, GgmlType>;

export type GgmlTypeName = keyof typeof GGML_TYPES;

/** A GGUF tensor's size in ggml order: ne0 is the length of a row. */
export type Dimensions = readonly number[];

const NAMES_BY_ID: ReadonlyMap<number, GgmlTypeName> = new Map(
  (Object.keys(GGML_TYPES) as GgmlTypeName[]).map((name) => [GGML_TYPES[name].id, name]),
);

/** The type with this number in a file; null when this release of llama.cpp has none (or removed it). */
export function ggmlTypeOfId(id: number): GgmlTypeName | null {
  return NAMES_BY_ID.get(id) ?? null;
}

/** Whether rows of `rowLength` weights can be stored in this type: a row is a whole number of blocks. */
export function rowFits(typeName: GgmlTypeName, rowLength: number): boolean {
  return rowLength % GGML_TYPES[typeName].blockSize === 0;
}

/** The number of weights of a tensor. */
export function elementCount(dims: Dimensions): number {
  let product = 1;
  for (const length of dims) product *= length;
  return product;
}

/** The bytes of a tensor, without the padding to the file's alignment. The rows must fit the type. */
export function tensorBytes(typeName: GgmlTypeName, dims: Dimensions): Bytes {
  const { blockSize, blockBytes } = GGML_TYPES[typeName];
  return bytes((elementCount(dims) / blockSize) * blockBytes);
}

/** Bytes for one weight, a fraction for block types. */
export function bytesPerWeight(typeName: GgmlTypeName): number {
  const { blockSize, blockBytes } = GGML_TYPES[typeName];
  return blockBytes / blockSize;
}
