import { GGML_TYPES, type GgmlTypeName } from '../../ggml-types.ts';

/**
 * Operations of ggml by number (`enum ggml_op`, ggml/include/ggml.h, release v0.5.0; the numbers are our own). Those
 * that only look at another tensor come first.
 */
export const OP = {
  none: 0,
  view: 1,
  reshape: 2,
  permute: 3,
  transpose: 4,
  getRows: 5,
  setRows: 6,
  rmsNorm: 7,
  norm: 8,
  l2Norm: 9,
  mulMat: 10,
  mulMatId: 11,
  add: 12,
  addId: 13,
  sub: 14,
  mul: 15,
  div: 16,
  scale: 17,
  unary: 18,
  glu: 19,
  rope: 20,
  softMax: 21,
  flashAttention: 22,
  cont: 23,
  cpy: 24,
  sqr: 25,
  sqrt: 26,
  clamp: 27,
  argsort: 28,
  topK: 29,
  sumRows: 30,
  concat: 31,
  repeat: 32,
  pad: 33,
  fill: 34,
  ssmConv: 35,
  ssmScan: 36,
  gatedDeltaNet: 37,
  rwkvWkv7: 38,
  lightningIndexer: 39,
  mixCopies: 40,
  combineCopies: 41,
  spreadCopies: 42,
  mean: 43,
  ropeBack: 44,
  pool2d: 45,
} as const;

/** A value of {@link OP}. */
export type Operation = number;

/** `ggml_is_view_op`, ggml/src/ggml-backend.cpp: no memory and no work. */
export const isViewOperation = (op: Operation): boolean => op >= OP.view && op <= OP.transpose;

/** The functions of `ggml_unary` and of the gated units that are told apart somewhere. */
export const UNARY = { other: 0, gelu: 1, sigmoid: 2, silu: 3, softplus: 4 } as const;
export type Unary = (typeof UNARY)[keyof typeof UNARY];

/** `ggml_op_can_inplace`, ggml/src/ggml-alloc.c: the result may take over the memory of a source. */
const IN_PLACE: ReadonlySet<Operation> = new Set<Operation>([
  OP.fill,
  OP.scale,
  OP.add,
  OP.addId,
  OP.sub,
  OP.mul,
  OP.div,
  OP.sqr,
  OP.sqrt,
  OP.unary,
  OP.rope,
  OP.ropeBack,
  OP.rmsNorm,
  OP.clamp,
  OP.softMax,
]);

const OPERATIONS = Object.keys(OP).length;

/** By operation: 1 where {@link IN_PLACE} has it. */
export const CAN_BE_IN_PLACE: Uint8Array = Uint8Array.from({ length: OPERATIONS }, (_, op) =>
  IN_PLACE.has(op) ? 1 : 0,
);

/** A type by its number in files (`enum ggml_type`). */
export type TypeId = number;

export const typeId = (name: GgmlTypeName): TypeId => GGML_TYPES[name].id;

export const TYPE = {
  f32: GGML_TYPES.F32.id,
  f16: GGML_TYPES.F16.id,
  i32: GGML_TYPES.I32.id,
  i64: GGML_TYPES.I64.id,
} as const;

const TYPE_IDS = 1 + Math.max(...Object.values(GGML_TYPES).map(({ id }) => id));

/** `ggml_blck_size` and `ggml_type_size` by number; 0 where there is no such type. */
export const BLOCK_SIZE: Float64Array = new Float64Array(TYPE_IDS);
export const BLOCK_BYTES: Float64Array = new Float64Array(TYPE_IDS);
for (const { id, blockSize, blockBytes } of Object.values(GGML_TYPES)) {
  BLOCK_SIZE[id] = blockSize;
  BLOCK_BYTES[id] = blockBytes;
}

/** `ggml_row_size`. */
export const rowSize = (type: TypeId, length: number): number =>
  (length / (BLOCK_SIZE[type] ?? 1)) * (BLOCK_BYTES[type] ?? 0);

/** `GGML_MAX_SRC`. */
export const MAX_SOURCES = 10;
