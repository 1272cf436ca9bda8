import { GgufError, type GgufErrorCode } from './gguf-error.ts';

/** Thrown inside the parser when it runs off the end of the prefix, which is not the end of the file. */
export class MoreBytesNeeded extends Error {
  override readonly name = 'MoreBytesNeeded';
  /** The prefix must reach at least this far. */
  readonly bytes: number;

  constructor(bytes: number) {
    super(`the header goes on to byte ${bytes} at least`);
    this.bytes = bytes;
  }
}

/** The longest string that is accepted: chat templates, the longest in practice, have some tens of kilobytes. */
const MAX_STRING_BYTES = 16 * 2 ** 20;

/** Reads little-endian values from the first bytes of a file; every step is checked against the file's size. */
export class HeaderCursor {
  private readonly view: DataView;
  private readonly prefix: Uint8Array;
  private readonly fileBytes: number;
  private readonly label: string;
  private readonly decoder = new TextDecoder();
  private at = 0;

  constructor(prefix: Uint8Array, fileBytes: number, label: string) {
    this.prefix = prefix;
    this.view = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength);
    this.fileBytes = fileBytes;
    this.label = label;
  }

  get position(): number {
    return this.at;
  }

  /** An error about this file. */
  error(code: GgufErrorCode, what: string): GgufError {
    return new GgufError(code, `${this.label} ${what}.`);
  }

  u8(): number {
    return this.view.getUint8(this.take(1));
  }

  i8(): number {
    return this.view.getInt8(this.take(1));
  }

  u16(): number {
    return this.view.getUint16(this.take(2), true);
  }

  i16(): number {
    return this.view.getInt16(this.take(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  i32(): number {
    return this.view.getInt32(this.take(4), true);
  }

  f32(): number {
    return this.view.getFloat32(this.take(4), true);
  }

  f64(): number {
    return this.view.getFloat64(this.take(8), true);
  }

  u64(): bigint {
    return this.view.getBigUint64(this.take(8), true);
  }

  i64(): bigint {
    return this.view.getBigInt64(this.take(8), true);
  }

  /** A count or length, refused when it exceeds the limit. */
  count(what: string, limit: number): number {
    const value = this.u64();
    if (value > BigInt(limit)) {
      throw this.error(
        'limit-exceeded',
        `claims ${value} ${what}, more than the ${limit} that are accepted; it is damaged`,
      );
    }
    return Number(value);
  }

  string(what: string, limit: number = MAX_STRING_BYTES): string {
    const length = this.count(`bytes of ${what}`, limit);
    const start = this.take(length);
    return this.decoder.decode(this.prefix.subarray(start, start + length));
  }

  skipString(what: string): void {
    this.take(this.count(`bytes of ${what}`, MAX_STRING_BYTES));
  }

  skip(length: number): void {
    this.take(length);
  }

  private take(length: number): number {
    const start = this.at;
    const end = start + length;
    if (end > this.fileBytes) {
      throw this.error('truncated', `ends inside its header; copy or download it again`);
    }
    if (end > this.prefix.byteLength) throw new MoreBytesNeeded(end);
    this.at = end;
    return start;
  }
}
