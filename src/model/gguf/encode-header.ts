import { GGML_TYPES } from '../ggml-types.ts';
import type { ModelTensor } from '../tensors.ts';
import {
  DEFAULT_ALIGNMENT,
  GGUF_MAGIC,
  GGUF_VERSION,
  METADATA_TYPES,
  padded,
  type MetadataEntry,
  type MetadataValue,
} from './metadata.ts';

/** A tensor and where its data lies, counted from the end of the header. */
interface PlacedTensor {
  readonly tensor: ModelTensor;
  readonly offset: number;
}

/** The plan of a GGUF file: its header and where the data of each tensor goes. */
export interface GgufLayout {
  /** The header, padded to the alignment; the data follows. */
  readonly header: Uint8Array;
  readonly tensors: readonly PlacedTensor[];
  /** The size of the whole file. */
  readonly fileBytes: number;
}

/** Lays out a GGUF v3 file: little-endian, every tensor at a multiple of 32 bytes, without gaps. */
export function layOutGguf(metadata: readonly MetadataEntry[], tensors: readonly ModelTensor[]): GgufLayout {
  const placed: PlacedTensor[] = [];
  let dataBytes = 0;
  for (const tensor of tensors) {
    placed.push({ tensor, offset: dataBytes });
    dataBytes += padded(tensor.bytes, DEFAULT_ALIGNMENT);
  }
  const writer = new ByteWriter();
  writer.u32(GGUF_MAGIC);
  writer.u32(GGUF_VERSION);
  writer.u64(tensors.length);
  writer.u64(metadata.length);
  for (const [key, value] of metadata) {
    writer.string(key);
    writeValue(writer, value);
  }
  for (const { tensor, offset } of placed) {
    writer.string(tensor.name);
    writer.u32(tensor.dims.length);
    for (const length of tensor.dims) writer.u64(length);
    writer.u32(GGML_TYPES[tensor.type].id);
    writer.u64(offset);
  }
  writer.padTo(DEFAULT_ALIGNMENT);
  const header = writer.finish();
  return { header, tensors: placed, fileBytes: header.length + dataBytes };
}

function writeValue(writer: ByteWriter, value: MetadataValue): void {
  switch (value.type) {
    case 'u32':
    case 'i32':
    case 'f32':
      writer.u32(METADATA_TYPES[value.type]);
      writer[value.type](value.value);
      return;
    case 'bool':
      writer.u32(METADATA_TYPES.bool);
      writer.u8(value.value ? 1 : 0);
      return;
    case 'string':
      writer.u32(METADATA_TYPES.string);
      writer.string(value.value);
      return;
    case 'u32[]':
      writeArray(writer, METADATA_TYPES.u32, value.value, (item) => writer.u32(item));
      return;
    case 'i32[]':
      writeArray(writer, METADATA_TYPES.i32, value.value, (item) => writer.i32(item));
      return;
    case 'f32[]':
      writeArray(writer, METADATA_TYPES.f32, value.value, (item) => writer.f32(item));
      return;
    case 'string[]':
      writeArray(writer, METADATA_TYPES.string, value.value, (item) => writer.string(item));
      return;
  }
}

function writeArray<T>(
  writer: ByteWriter,
  type: number,
  items: readonly T[],
  write: (item: T) => void,
): void {
  writer.u32(METADATA_TYPES.array);
  writer.u32(type);
  writer.u64(items.length);
  for (const item of items) write(item);
}

const INITIAL_CAPACITY = 64 * 1024;

/** Little-endian bytes in a buffer that doubles when it is full. */
class ByteWriter {
  private buffer = new Uint8Array(INITIAL_CAPACITY);
  private view = new DataView(this.buffer.buffer);
  private length = 0;
  private readonly encoder = new TextEncoder();

  u8(value: number): void {
    this.reserve(1);
    this.view.setUint8(this.length, value);
    this.length += 1;
  }

  u32(value: number): void {
    this.reserve(4);
    this.view.setUint32(this.length, value, true);
    this.length += 4;
  }

  i32(value: number): void {
    this.reserve(4);
    this.view.setInt32(this.length, value, true);
    this.length += 4;
  }

  f32(value: number): void {
    this.reserve(4);
    this.view.setFloat32(this.length, value, true);
    this.length += 4;
  }

  u64(value: number): void {
    this.reserve(8);
    this.view.setBigUint64(this.length, BigInt(value), true);
    this.length += 8;
  }

  string(text: string): void {
    const encoded = this.encoder.encode(text);
    this.u64(encoded.length);
    this.reserve(encoded.length);
    this.buffer.set(encoded, this.length);
    this.length += encoded.length;
  }

  padTo(alignment: number): void {
    const target = padded(this.length, alignment);
    this.reserve(target - this.length);
    this.buffer.fill(0, this.length, target);
    this.length = target;
  }

  finish(): Uint8Array {
    return this.buffer.slice(0, this.length);
  }

  private reserve(extra: number): void {
    if (this.length + extra <= this.buffer.length) return;
    let capacity = this.buffer.length;
    while (capacity < this.length + extra) capacity *= 2;
    const grown = new Uint8Array(capacity);
    grown.set(this.buffer.subarray(0, this.length));
    this.buffer = grown;
    this.view = new DataView(grown.buffer);
  }
}
