import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { measurementRecordSchema, type MeasurementRecord } from '../../src/measure/index.ts';

/** What a user runs: the built program. The sources would start several times slower. */
const MAIN = path.resolve(import.meta.dirname, '../../dist/cli/main.js');

/** A command that runs, with the folders of a user of its own. */
export interface Command {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
}

export interface Ended {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where the commands of one test keep their data; both below one folder, whose name their processes carry. */
export interface Home {
  readonly folder: string;
  readonly data: string;
  readonly cache: string;
}

export function homeIn(folder: string): Home {
  return { folder, data: path.join(folder, 'data'), cache: path.join(folder, 'cache') };
}

export function start(argv: readonly string[], home: Home): Command {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing; run npm run build`);
  const child = spawn(process.execPath, [MAIN, ...argv], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', XDG_DATA_HOME: home.data, XDG_CACHE_HOME: home.cache },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode, signal) => resolve({ exitCode, signal, stdout, stderr }));
  });
  return { process: child, ended };
}

export const run = (argv: readonly string[], home: Home): Promise<Ended> => start(argv, home).ended;

export const logOf = (home: Home): string => path.join(home.data, 'ridgepoint', 'results.jsonl');

/** The records of the log, every line of which must hold one. */
export function recordsOf(home: Home): MeasurementRecord[] {
  const file = logOf(home);
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => measurementRecordSchema.parse(JSON.parse(line)));
}

/** Processes whose environment names the folder: everything that a command of this home has started, and itself. */
export function processesOf(home: Home): number[] {
  return processIds().filter((pid) => readProc(pid, 'environ').includes(home.folder));
}

/** The engine's process of a command; null while there is none. */
export function workerOf(home: Home): number | null {
  return processesOf(home).find((pid) => /host\/worker\.js/.test(readProc(pid, 'cmdline'))) ?? null;
}

export async function until(holds: () => boolean, milliseconds: number): Promise<boolean> {
  const end = performance.now() + milliseconds;
  while (!holds()) {
    if (performance.now() > end) return false;
    await sleep(5);
  }
  return true;
}

const processIds = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    // It has ended.
    return '';
  }
}
