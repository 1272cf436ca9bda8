import envPaths from 'env-paths';
import path from 'node:path';
import pc from 'picocolors';
import { Interruption, type ExitCode } from './exit.ts';

/** `--color`: `auto` colours terminals only, and none when `NO_COLOR` is set (no-color.org). */
export type ColorChoice = 'auto' | 'always' | 'never';

type Palette = ReturnType<typeof pc.createColors>;

/** The folders of the platform: XDG on Linux, Library on macOS, AppData on Windows. */
export interface CliPaths {
  readonly data: string;
  readonly config: string;
  readonly cache: string;
}

/** What a command may use of the process that it runs in. */
export interface CliContext {
  /** Writes whole lines to standard output: the result, and nothing else. */
  readonly stdout: (text: string) => void;
  /** Writes whole lines to standard error: progress, warnings, reasons. */
  readonly stderr: (text: string) => void;
  /** Whether standard error is a terminal: progress bars appear only there. */
  readonly isTerminal: boolean;
  /** Characters of a line of standard output; null when it is no terminal and lines may be as long as they like. */
  readonly columns: number | null;
  /** Colours for standard output. */
  readonly colors: Palette;
  /** Colours for standard error. */
  readonly errorColors: Palette;
  readonly paths: CliPaths;
  /** Aborted by the first SIGINT or SIGTERM, with an Interruption; a second SIGINT ends the process at once. */
  readonly signal: AbortSignal;
}

/** Runs the body of a command: gives it the context, and keeps its exit code. */
export type Enter = (run: (context: CliContext) => Promise<ExitCode>) => Promise<void>;

/** The append-only log of every measurement. */
export const resultLogPath = (paths: CliPaths): string => path.join(paths.data, 'results.jsonl');
/** The append-only log of every probe. */
export const probeLogPath = (paths: CliPaths): string => path.join(paths.data, 'probes.jsonl');
/** What `calibrate` learned about this machine. */
export const calibrationPath = (paths: CliPaths): string => path.join(paths.data, 'calibration.json');
/** The cache of synthetic models. */
export const syntheticDirectory = (paths: CliPaths): string => path.join(paths.cache, 'synthetic');
/** The models that `models add` wrote. */
export const ownModelsDirectory = (paths: CliPaths): string => path.join(paths.data, 'models');
/** Where `engines add` installs packages, under `node_modules`. */
export const enginesDirectory = (paths: CliPaths): string => path.join(paths.data, 'engines');

/** The context of this process. Call it once: it takes over SIGINT and SIGTERM. */
export function createContext(color: ColorChoice): CliContext {
  const { data, config, cache } = envPaths('ridgepoint', { suffix: '' });
  const paletteFor = (stream: NodeJS.WriteStream): Palette =>
    pc.createColors(wantsColor(color, stream.isTTY, process.env));
  return {
    stdout: (text) => void process.stdout.write(withNewline(text)),
    stderr: (text) => void process.stderr.write(withNewline(text)),
    isTerminal: process.stderr.isTTY,
    columns: process.stdout.isTTY ? process.stdout.columns : null,
    colors: paletteFor(process.stdout),
    errorColors: paletteFor(process.stderr),
    paths: { data, config, cache },
    signal: abortOnSignals(),
  };
}

/** Whether to colour: the flag decides, then `NO_COLOR` (any text), then the terminal. */
export function wantsColor(
  color: ColorChoice,
  isTerminal: boolean | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  if (color !== 'auto') return color === 'always';
  const noColor = environment['NO_COLOR'];
  if (noColor !== undefined && noColor !== '') return false;
  return isTerminal === true && environment['TERM'] !== 'dumb';
}

const withNewline = (text: string): string => (text === '' || text.endsWith('\n') ? text : `${text}\n`);

function abortOnSignals(): AbortSignal {
  const controller = new AbortController();
  process.on('SIGINT', () => {
    const impatient: ExitCode = 130;
    if (controller.signal.aborted) process.exit(impatient);
    controller.abort(new Interruption('SIGINT'));
  });
  process.on('SIGTERM', () => controller.abort(new Interruption('SIGTERM')));
  return controller.signal;
}
