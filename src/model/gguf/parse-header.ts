import { bytes, formatBytes, type Bytes } from '../../units/index.ts';
import { ggmlTypeOfId, rowFits, tensorBytes, type GgmlTypeName } from '../ggml-types.ts';
import { HeaderCursor, MoreBytesNeeded } from './header-cursor.ts';
import { DEFAULT_ALIGNMENT, GGUF_MAGIC, METADATA_TYPES, padded } from './metadata.ts';

/** A tensor as a header describes it. */
interface TensorInfo {
  readonly name: string;
  readonly type: GgmlTypeName;
  readonly dims: readonly number[];
  /** From the start of the file. */
  readonly offset: number;
  readonly bytes: Bytes;
}

/** An array of a header; long ones (the tokens) are counted and not kept. */
interface HeaderArray {
  readonly length: number;
  readonly items: readonly HeaderScalar[] | null;
}

type HeaderScalar = number | bigint | boolean | string;
type HeaderValue = HeaderScalar | HeaderArray;

export interface GgufHeader {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, HeaderValue>;
  readonly tensors: readonly TensorInfo[];
  readonly alignment: number;
  /** Where the data of the tensors begins. */
  readonly dataOffset: number;
  readonly fileBytes: Bytes;
}

type HeaderProgress =
  | { readonly complete: true; readonly header: GgufHeader }
  /** The header goes on to this byte at least. */
  | { readonly complete: false; readonly neededBytes: number };

/** Limits of a header, each several times what the largest published files need (DeepSeek: 2,000 tensors). */
export const HEADER_LIMITS = {
  /** gpt-oss, with the largest vocabulary, has 13 MB. */
  headerBytes: 128 * 2 ** 20,
  tensors: 65_536,
  metadataEntries: 65_536,
  /** docs/gguf.md of ggml: a key has at most 2^16 - 1 bytes. */
  keyBytes: 65_535,
  /** `GGML_MAX_NAME`, ggml/include/ggml.h, less the closing zero. */
  tensorNameBytes: 63,
  /** `GGML_MAX_DIMS`. */
  dimensions: 4,
  arrayItems: 2 ** 26,
  /** Longer arrays are counted, not kept. */
  keptItems: 1024,
  alignment: 2 ** 20,
} as const;

/**
 * Reads a GGUF header (versions 2 and 3, little-endian) from the first bytes of a file.
 * @param label - how errors name the file.
 * @throws GgufError for every input that is not a sound header of a file of `fileBytes` bytes.
 */
export function parseGgufHeader(prefix: Uint8Array, fileBytes: number, label: string): HeaderProgress {
  const cursor = new HeaderCursor(prefix, fileBytes, label);
  try {
    return { complete: true, header: parse(cursor, fileBytes) };
  } catch (error) {
    if (!(error instanceof MoreBytesNeeded)) throw error;
    if (error.bytes > HEADER_LIMITS.headerBytes) {
      throw cursor.error(
        'limit-exceeded',
        `has a header of more than ${formatBytes(bytes(HEADER_LIMITS.headerBytes))}; it is damaged`,
      );
    }
    return { complete: false, neededBytes: error.bytes };
  }
}

function parse(cursor: HeaderCursor, fileBytes: number): GgufHeader {
  const version = parseVersion(cursor, fileBytes);
  const tensorCount = cursor.count('tensors', HEADER_LIMITS.tensors);
  const entryCount = cursor.count('metadata entries', HEADER_LIMITS.metadataEntries);
  const metadata = new Map<string, HeaderValue>();
  for (let index = 0; index < entryCount; index += 1) {
    const key = cursor.string('a metadata key', HEADER_LIMITS.keyBytes);
    if (metadata.has(key)) throw cursor.error('malformed', `has the metadata key ${quoted(key)} twice`);
    metadata.set(key, parseValue(cursor, cursor.u32(), key));
  }
  const alignment = alignmentOf(metadata, cursor);
  const described = parseTensors(cursor, tensorCount);
  const dataOffset = padded(cursor.position, alignment);
  return {
    version,
    metadata,
    tensors: placeTensors(described, { alignment, dataOffset, fileBytes, cursor }),
    alignment,
    dataOffset,
    fileBytes: bytes(fileBytes),
  };
}

function parseVersion(cursor: HeaderCursor, fileBytes: number): number {
  if (fileBytes < 4 || cursor.u32() !== GGUF_MAGIC) {
    throw cursor.error('not-gguf', 'is not a GGUF file; give the path of a model in GGUF format');
  }
  const version = cursor.u32();
  if ((version & 0xffff) === 0) {
    throw cursor.error('unsupported-version', 'is a big-endian GGUF file; convert it to little-endian');
  }
  if (version !== 2 && version !== 3) {
    throw cursor.error(
      'unsupported-version',
      `is GGUF version ${version}; versions 2 and 3 can be read, convert it anew`,
    );
  }
  return version;
}

type ScalarReader = (cursor: HeaderCursor, key: string) => HeaderScalar;

/** Whole numbers of 64 bits become numbers where that loses nothing. */
const plain = (value: bigint): number | bigint =>
  BigInt.asIntN(54, value) === value ? Number(value) : value;

const SCALARS: ReadonlyMap<number, { readonly size: number | null; readonly read: ScalarReader }> = new Map([
  [METADATA_TYPES.u8, { size: 1, read: (cursor) => cursor.u8() }],
  [METADATA_TYPES.i8, { size: 1, read: (cursor) => cursor.i8() }],
  [METADATA_TYPES.u16, { size: 2, read: (cursor) => cursor.u16() }],
  [METADATA_TYPES.i16, { size: 2, read: (cursor) => cursor.i16() }],
  [METADATA_TYPES.u32, { size: 4, read: (cursor) => cursor.u32() }],
  [METADATA_TYPES.i32, { size: 4, read: (cursor) => cursor.i32() }],
  [METADATA_TYPES.f32, { size: 4, read: (cursor) => cursor.f32() }],
  [METADATA_TYPES.bool, { size: 1, read: (cursor) => cursor.u8() !== 0 }],
  [METADATA_TYPES.string, { size: null, read: (cursor, key) => cursor.string(quoted(key)) }],
  [METADATA_TYPES.u64, { size: 8, read: (cursor) => plain(cursor.u64()) }],
  [METADATA_TYPES.i64, { size: 8, read: (cursor) => plain(cursor.i64()) }],
  [METADATA_TYPES.f64, { size: 8, read: (cursor) => cursor.f64() }],
]);

function parseValue(cursor: HeaderCursor, type: number, key: string): HeaderValue {
  if (type === METADATA_TYPES.array) return parseArray(cursor, key);
  const scalar = SCALARS.get(type);
  if (scalar === undefined) {
    throw cursor.error('malformed', `gives ${quoted(key)} the unknown value type ${type}`);
  }
  return scalar.read(cursor, key);
}

function parseArray(cursor: HeaderCursor, key: string): HeaderArray {
  const type = cursor.u32();
  const scalar = SCALARS.get(type);
  if (scalar === undefined) {
    const what =
      type === METADATA_TYPES.array ? 'an array of arrays' : `an array of the unknown type ${type}`;
    throw cursor.error('malformed', `gives ${quoted(key)} ${what}, which llama.cpp does not load`);
  }
  const length = cursor.count(`items of ${quoted(key)}`, HEADER_LIMITS.arrayItems);
  if (length <= HEADER_LIMITS.keptItems) {
    return { length, items: Array.from({ length }, () => scalar.read(cursor, key)) };
  }
  if (scalar.size === null) {
    for (let index = 0; index < length; index += 1) cursor.skipString(quoted(key));
  } else {
    cursor.skip(length * scalar.size);
  }
  return { length, items: null };
}

function alignmentOf(metadata: ReadonlyMap<string, HeaderValue>, cursor: HeaderCursor): number {
  const value = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT;
  const sound =
    typeof value === 'number' &&
    value >= 1 &&
    value <= HEADER_LIMITS.alignment &&
    Number.isInteger(Math.log2(value));
  if (!sound) throw cursor.error('malformed', 'has a general.alignment that is no power of two');
  return value;
}

interface DescribedTensor extends Omit<TensorInfo, 'offset'> {
  /** From the start of the data. */
  readonly dataOffset: bigint;
}

function parseTensors(cursor: HeaderCursor, count: number): DescribedTensor[] {
  const names = new Set<string>();
  const tensors: DescribedTensor[] = [];
  for (let index = 0; index < count; index += 1) {
    const name = cursor.string('a tensor name', HEADER_LIMITS.tensorNameBytes);
    if (names.has(name)) throw cursor.error('malformed', `has the tensor ${quoted(name)} twice`);
    names.add(name);
    const dims = parseDimensions(cursor, name);
    const typeId = cursor.u32();
    const type = ggmlTypeOfId(typeId);
    if (type === null) {
      throw cursor.error(
        'unsupported-type',
        `stores ${quoted(name)} in the unknown tensor type ${typeId}; it needs another engine`,
      );
    }
    if (!rowFits(type, dims[0] ?? 1)) {
      throw cursor.error(
        'malformed',
        `has rows of ${dims[0] ?? 1} weights in ${quoted(name)}, which ${type} cannot hold`,
      );
    }
    tensors.push({ name, type, dims, bytes: tensorBytes(type, dims), dataOffset: cursor.u64() });
  }
  return tensors;
}

function parseDimensions(cursor: HeaderCursor, name: string): number[] {
  const count = cursor.u32();
  if (count > HEADER_LIMITS.dimensions) {
    throw cursor.error(
      'malformed',
      `gives ${quoted(name)} ${count} dimensions; ${HEADER_LIMITS.dimensions} are the most`,
    );
  }
  const dims: number[] = [];
  let elements = 1;
  for (let index = 0; index < count; index += 1) {
    const length = cursor.count(`rows or columns of ${quoted(name)}`, Number.MAX_SAFE_INTEGER);
    elements *= length;
    // Eight bytes a weight at most, so the tensor's size stays a safe whole number as well.
    if (length === 0 || elements > Number.MAX_SAFE_INTEGER / 8) {
      throw cursor.error('malformed', `gives ${quoted(name)} an impossible size`);
    }
    dims.push(length);
  }
  return dims;
}

interface DataArea {
  readonly alignment: number;
  readonly dataOffset: number;
  readonly fileBytes: number;
  readonly cursor: HeaderCursor;
}

/** Tensors follow each other without gaps, as llama.cpp demands, and end inside the file. */
function placeTensors(
  described: readonly DescribedTensor[],
  { alignment, dataOffset, fileBytes, cursor }: DataArea,
): TensorInfo[] {
  let expected = 0;
  let needed = dataOffset;
  const placed = described.map(({ dataOffset: own, ...tensor }): TensorInfo => {
    if (own !== BigInt(expected)) {
      throw cursor.error(
        'malformed',
        `places ${quoted(tensor.name)} at byte ${own} of its data instead of ${expected}`,
      );
    }
    const offset = dataOffset + expected;
    expected += padded(tensor.bytes, alignment);
    needed = offset + tensor.bytes;
    if (!Number.isSafeInteger(needed))
      throw cursor.error('malformed', 'claims tensors of an impossible size');
    return { ...tensor, offset };
  });
  if (described.length > 0 && needed > fileBytes) {
    throw cursor.error(
      'truncated',
      `is cut short: its tensors need ${formatBytes(bytes(needed))} and it has ${formatBytes(bytes(fileBytes))}; copy or download it again`,
    );
  }
  return placed;
}

/** Names from a file are shown cut and without control characters. */
const SHOWN_NAME = 80;

function quoted(name: string): string {
  const shown = name.length > SHOWN_NAME ? `${name.slice(0, SHOWN_NAME)}…` : name;
  return JSON.stringify(shown);
}
