/** A metadata value of a GGUF file that this project writes. */
export type MetadataValue =
  | { readonly type: 'u32' | 'i32' | 'f32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'u32[]' | 'i32[]' | 'f32[]'; readonly value: readonly number[] }
  | { readonly type: 'string[]'; readonly value: readonly string[] };

export type MetadataEntry = readonly [key: string, value: MetadataValue];

/** `enum gguf_metadata_value_type`, docs/gguf.md of ggml. */
export const METADATA_TYPES = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;

/** 'GGUF' in the order of the file. */
export const GGUF_MAGIC = 0x46554747;
export const GGUF_VERSION = 3;
/** `GGUF_DEFAULT_ALIGNMENT`: tensor data starts at multiples of this many bytes. */
export const DEFAULT_ALIGNMENT = 32;

/** The next multiple of the alignment. */
export function padded(size: number, alignment: number): number {
  return Math.ceil(size / alignment) * alignment;
}
