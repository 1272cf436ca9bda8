import { GgufError } from '../gguf/gguf-error.ts';
import { HEADER_LIMITS, parseGgufHeader, type GgufHeader } from '../gguf/parse-header.ts';

/** Twice as much each time, the longest header takes eight reads; servers may send less than is asked for. */
const MAX_READS = 64;

/** The bytes of a file, wherever it lies. */
interface ByteSource {
  /** How errors name the file. */
  readonly label: string;
  /** Of the first read; later ones ask for twice as much. */
  readonly firstReadBytes: number;
  /**
   * Bytes from `start` up to `end` or the end of the file, one at least where there are any, and how long the file is.
   * `start` is 0 or where the last read ended.
   */
  readonly read: (
    start: number,
    end: number,
  ) => Promise<{ readonly bytes: Uint8Array; readonly fileBytes: number }>;
}

/**
 * Reads the header of a file, and little behind it.
 * @throws GgufError for a file that is no sound GGUF or that is cut short.
 */
export async function readHeaderOf(source: ByteSource): Promise<GgufHeader> {
  let prefix: Uint8Array = new Uint8Array(0);
  let wanted = source.firstReadBytes;
  for (let reads = 0; reads < MAX_READS; reads += 1) {
    const { bytes, fileBytes } = await source.read(prefix.byteLength, wanted);
    prefix = joined(prefix, bytes);
    // A file that became shorter since it was measured is cut where the read ended.
    const isCut = bytes.byteLength === 0;
    const progress = parseGgufHeader(prefix, isCut ? prefix.byteLength : fileBytes, source.label);
    if (progress.complete) return progress.header;
    // Twice as much each time keeps the work of starting over below that of the last pass.
    wanted = Math.min(
      Math.max(progress.neededBytes, prefix.byteLength * 2),
      fileBytes,
      HEADER_LIMITS.headerBytes,
    );
  }
  throw new GgufError('unreadable', `${source.label} cannot be read: it comes in too many small pieces.`);
}

function joined(prefix: Uint8Array, more: Uint8Array): Uint8Array {
  if (prefix.byteLength === 0) return more;
  const longer = new Uint8Array(prefix.byteLength + more.byteLength);
  longer.set(prefix);
  longer.set(more, prefix.byteLength);
  return longer;
}
