import { constants } from 'node:fs';
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { TextDecoder } from 'node:util';
import {
  measurementRecordSchema,
  probeRecordSchema,
  PROBE_SCHEMA_VERSION,
  RECORD_SCHEMA_VERSION,
  type MeasurementRecord,
  type ProbeRecord,
} from '../../measure/index.ts';
import { encodeLine, lineParser, type ParsedLine } from '../result-line.ts';

/** About 300,000 records of 3 kB, more than years of measuring; a larger file is not ours or has run away. */
const MAX_LOG_BYTES = 1e9;
/** A record with 10,000 samples and full telemetry has about 150 kB; a longer line is not a record. */
const MAX_LINE_BYTES = 16 * 2 ** 20;
const READ_CHUNK_BYTES = 2 ** 16;
const NEWLINE = 0x0a;

export type ResultLogErrorCode = 'no-space' | 'not-writable' | 'not-readable' | 'too-large';

/** The log could not be written or read; the message is one sentence for the user. */
export class ResultLogError extends Error {
  override readonly name = 'ResultLogError';
  readonly code: ResultLogErrorCode;

  constructor(code: ResultLogErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A line that holds no record; it is left in the file as it is. */
export interface DamagedLine {
  /** Counted from 1. */
  readonly line: number;
  readonly reason: string;
}

interface LineLogContents<Entry> {
  /** In the order of the file. */
  readonly records: readonly Entry[];
  readonly damaged: readonly DamagedLine[];
}

export type ResultLogContents = LineLogContents<MeasurementRecord>;

/** Records as lines of JSON that are only ever added, never changed. */
interface LineLog<Entry> {
  readonly path: string;
  /**
   * Adds one line and returns when it is on the disk. After a crash in mid-write it starts a line of its own.
   * @throws ResultLogError `no-space`, `not-writable` or `too-large`.
   */
  append(record: Entry): Promise<void>;
  /**
   * Everything in the file; a file that does not exist is empty.
   * @throws ResultLogError `not-readable` or `too-large`.
   */
  readAll(): Promise<LineLogContents<Entry>>;
}

/** The log of benchmarks. */
export type ResultLog = LineLog<MeasurementRecord>;
/** The log of probes: a file of its own, because a ridgepoint that knows only benchmarks would call its lines damaged. */
export type ProbeLog = LineLog<ProbeRecord>;

const parseResult = lineParser(measurementRecordSchema, RECORD_SCHEMA_VERSION, 'measurement');
const parseProbe = lineParser(probeRecordSchema, PROBE_SCHEMA_VERSION, 'probe');

/** @param file - path of the log; neither it nor its folder need exist. */
export function openResultLog(file: string): ResultLog {
  return openLineLog(file, parseResult);
}

/** @param file - path of the log; neither it nor its folder need exist. */
export function openProbeLog(file: string): ProbeLog {
  return openLineLog(file, parseProbe);
}

function openLineLog<Entry extends object>(
  file: string,
  parse: (line: string) => ParsedLine<Entry>,
): LineLog<Entry> {
  return {
    path: file,
    append: async (record) => appendLine(file, Buffer.from(encodeLine(record))),
    readAll: async () => readLog(file, parse),
  };
}

async function appendLine(file: string, line: Buffer): Promise<void> {
  try {
    await mkdir(path.dirname(file), { recursive: true });
    const handle = await open(file, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT, 0o644);
    try {
      const { size } = await handle.stat();
      if (size + line.length > MAX_LOG_BYTES) throw tooLarge(file);
      const whole = (await endsWithinALine(handle, size)) ? Buffer.concat([Buffer.from('\n'), line]) : line;
      await writeWhole(handle, whole);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw error instanceof ResultLogError ? error : writeFailure(file, error);
  }
}

async function endsWithinALine(handle: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return false;
  const last = Buffer.alloc(1);
  const { bytesRead } = await handle.read(last, 0, 1, size - 1);
  return bytesRead === 1 && last[0] !== NEWLINE;
}

/** One write; only a disk that is filling up takes less than all, and the next attempt then names the reason. */
async function writeWhole(handle: FileHandle, content: Buffer): Promise<void> {
  let written = 0;
  while (written < content.length) {
    written += (await handle.write(content, written, content.length - written)).bytesWritten;
  }
}

async function readLog<Entry>(
  file: string,
  parse: (line: string) => ParsedLine<Entry>,
): Promise<LineLogContents<Entry>> {
  let handle: FileHandle;
  try {
    handle = await open(file, 'r');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { records: [], damaged: [] };
    throw readFailure(file, error);
  }
  try {
    if ((await handle.stat()).size > MAX_LOG_BYTES) throw tooLarge(file);
    return await readLines(handle, parse);
  } catch (error) {
    throw error instanceof ResultLogError ? error : readFailure(file, error);
  } finally {
    await handle.close();
  }
}

async function readLines<Entry>(
  handle: FileHandle,
  parse: (line: string) => ParsedLine<Entry>,
): Promise<LineLogContents<Entry>> {
  const records: Entry[] = [];
  const damaged: DamagedLine[] = [];
  let line = 0;
  const take = (content: Buffer | 'too-long'): void => {
    line += 1;
    if (content !== 'too-long' && content.length === 0) return;
    const parsed = parseLine(content, parse);
    if (parsed.reason === null) records.push(parsed.record);
    else damaged.push({ line, reason: parsed.reason });
  };
  // Lines are split by bytes: string-based splitters also break at U+2028, which JSON leaves as it is.
  let pieces: Buffer[] = [];
  let pending = 0;
  const finishLine = (): void => {
    take(pending > MAX_LINE_BYTES ? 'too-long' : Buffer.concat(pieces));
    pieces = [];
    pending = 0;
  };
  for (;;) {
    const { bytesRead, buffer } = await handle.read(
      Buffer.allocUnsafe(READ_CHUNK_BYTES),
      0,
      READ_CHUNK_BYTES,
    );
    if (bytesRead === 0) break;
    let rest = buffer.subarray(0, bytesRead);
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      pieces.push(rest.subarray(0, end));
      pending += end;
      finishLine();
      rest = rest.subarray(end + 1);
    }
    pending += rest.length;
    // What is beyond the limit is counted and dropped, so that a file without newlines stays cheap to refuse.
    if (pending <= MAX_LINE_BYTES) pieces.push(rest);
    else pieces = [];
  }
  if (pending > 0) finishLine();
  return { records, damaged };
}

function parseLine<Entry>(
  content: Buffer | 'too-long',
  parse: (line: string) => ParsedLine<Entry>,
): ParsedLine<Entry> {
  if (content === 'too-long') {
    return { record: null, reason: `longer than the ${MAX_LINE_BYTES / 2 ** 20} MiB that a record may have` };
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch {
    return { record: null, reason: 'not UTF-8 text' };
  }
  return parse(text);
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown error';

const tooLarge = (file: string): ResultLogError =>
  new ResultLogError(
    'too-large',
    `The result log ${file} would exceed ${MAX_LOG_BYTES / 1e9} GB: move it away, and a new one is started.`,
  );

function writeFailure(file: string, cause: unknown): ResultLogError {
  const code = codeOf(cause);
  return code === 'ENOSPC' || code === 'EDQUOT'
    ? new ResultLogError(
        'no-space',
        `The result could not be added to ${file} because the disk is full: free some space and run the command again; it goes on where it stopped.`,
        { cause },
      )
    : new ResultLogError(
        'not-writable',
        `The result could not be added to ${file} (${code}): make the file and its folder writable for you.`,
        { cause },
      );
}

const readFailure = (file: string, cause: unknown): ResultLogError =>
  new ResultLogError(
    'not-readable',
    `The result log ${file} could not be read (${codeOf(cause)}): it must be a file that you may read.`,
    { cause },
  );
