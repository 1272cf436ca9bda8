import { z } from 'zod';
import { known, unknown, type Fact } from './fact.ts';

/** What was found in one place: its text, or why there is none. */
export type Reading = { readonly text: string } | { readonly error: string };
/** One place of a capture; a pattern such as `/sys/class/drm/card<n>/device/vendor` holds one reading a file. */
export type Entry = Reading | { readonly files: Readonly<Record<string, Reading>> };

/**
 * Everything that was read on one machine, unjudged: the input of `identify`. A saved capture gives the same facts on
 * any other machine, so a bug report is a test case.
 */
export interface Capture {
  readonly schemaVersion: 1;
  readonly kind: 'ridgepoint-capture';
  /** Node's name of the platform: `linux`, `darwin`, `win32`. */
  readonly platform: string;
  /** Node's name of the processor architecture: `x64`, `arm64`. */
  readonly architecture: string;
  readonly entries: Readonly<Record<string, Entry>>;
  /** The environment variables that can change a result, and no others. */
  readonly environment: Readonly<Record<string, string>>;
}

/** A place to read; `filter` drops what identifies a person or a single machine before anything is stored. */
interface Place {
  readonly filter?: (text: string) => string;
}
export type Request =
  | (Place & { readonly kind: 'file'; readonly path: string })
  /** `*` stands for any characters within a path segment, `<n>` for digits. `binary` files are read as hexadecimal. */
  | (Place & { readonly kind: 'files'; readonly pattern: string; readonly binary?: boolean })
  /** One file of the control group of this process and of every group above it, the outermost first. */
  | (Place & { readonly kind: 'control-group'; readonly controller: string; readonly file: string })
  /** `name` is the key: it stays when the arguments grow, so that old captures keep their meaning. */
  | (Place & {
      readonly kind: 'command';
      readonly name: string;
      readonly file: string;
      readonly args: readonly string[];
    });

/** The key of a request in `Capture.entries`, which is also the source that facts name. */
export function keyOf(request: Request): string {
  switch (request.kind) {
    case 'file':
      return request.path;
    case 'files':
      return request.pattern;
    case 'control-group':
      return `control group: ${request.controller === '' ? '' : `${request.controller}/`}${request.file}`;
    case 'command':
    default:
      return request.name;
  }
}

const NOT_CAPTURED = 'was not read when this capture was made';

function factOf(reading: Reading, source: string): Fact<string> {
  return 'text' in reading ? known(reading.text, source) : unknown(reading.error, source);
}

/** The text of a file or command of a capture. */
export function textOf(capture: Capture, request: Request): Fact<string> {
  const source = keyOf(request);
  const entry = capture.entries[source];
  if (entry === undefined) return unknown(NOT_CAPTURED, source);
  if ('files' in entry) return unknown('holds several files', source);
  return factOf(entry, source);
}

/** The files that matched a pattern, by path, each known or unknown for itself. */
export function filesOf(capture: Capture, request: Request): Fact<ReadonlyMap<string, Fact<string>>> {
  const source = keyOf(request);
  const entry = capture.entries[source];
  if (entry === undefined) return unknown(NOT_CAPTURED, source);
  if ('error' in entry) return unknown(entry.error, source);
  if ('text' in entry) return unknown('holds one text, not files', source);
  const files = Object.entries(entry.files).map(([path, reading]) => [path, factOf(reading, path)] as const);
  return known(new Map(files), source);
}

/** One line of text without the newline at its end, as sysfs files hold. */
export function lineOf(capture: Capture, request: Request): Fact<string> {
  const text = textOf(capture, request);
  if (!text.known) return text;
  const line = text.value.trim();
  return line === '' ? unknown('is empty', text.source) : known(line, text.source);
}

/** Longest text of one place: /proc/cpuinfo of a 512-thread server has about 0.8 MB before it is condensed. */
export const MAX_READING_CHARACTERS = 1_000_000;
/** Most files that one pattern may match: 1024 covers the largest two-socket servers of 2026 (2 x 384 threads). */
export const MAX_FILES = 1024;
/** Most places in one capture; the plans for Linux, macOS and Windows have fewer than 100 each. */
const MAX_ENTRIES = 500;

const readingSchema = z.union([
  z.object({ text: z.string().max(MAX_READING_CHARACTERS) }),
  z.object({ error: z.string().max(2000) }),
]);
const entrySchema = z.union([
  readingSchema,
  z.object({
    files: z
      .record(z.string().max(4096), readingSchema)
      .refine((files) => Object.keys(files).length <= MAX_FILES, `more than ${MAX_FILES} files`),
  }),
]);

/** A capture that was read from a file. */
export const captureSchema: z.ZodType<Capture> = z.object({
  schemaVersion: z.literal(1),
  kind: z.literal('ridgepoint-capture'),
  platform: z.string().max(100),
  architecture: z.string().max(100),
  entries: z
    .record(z.string().max(4096), entrySchema)
    .refine((entries) => Object.keys(entries).length <= MAX_ENTRIES, `more than ${MAX_ENTRIES} places`),
  environment: z.record(z.string().max(200), z.string().max(10_000)),
});
