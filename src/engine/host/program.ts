import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants, realpathSync } from 'node:fs';
import path from 'node:path';
import { LogTail } from './log-tail.ts';

/** How a program ended, and what it said. */
export interface ProgramEnd {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly timedOut: boolean;
  /** The end of its standard output. */
  readonly output: string;
  /** The end of its standard error. */
  readonly log: string;
}

export interface RunningProgram {
  readonly processId: number | null;
  /** @throws the signal's reason after an abort. */
  readonly ended: Promise<ProgramEnd>;
  log(): string;
  /** Kills the program with everything that it started, and waits until it is gone. */
  kill(): Promise<void>;
}

/**
 * Starts a program without a shell, in a process group of its own, so that it is killed together with its children
 * and the Ctrl-C of the terminal reaches only its parent, which decides.
 */
export function startProgram(
  executable: string,
  args: readonly string[],
  limitMilliseconds: number,
  signal?: AbortSignal,
): RunningProgram {
  const [command = executable, ...rest] = [...parentDeathGuard(), path.resolve(executable), ...args];
  const child = spawn(command, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: process.platform !== 'win32',
  });
  const output = new LogTail();
  const log = new LogTail();
  child.stdout.on('data', (chunk: Buffer) => output.append(chunk));
  child.stderr.on('data', (chunk: Buffer) => log.append(chunk));

  let timedOut = false;
  let over = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup(child);
  }, limitMilliseconds);
  const onAbort = (): void => killGroup(child);
  signal?.addEventListener('abort', onAbort, { once: true });

  const closed = new Promise<ProgramEnd>((resolve) => {
    const finish = (exitCode: number | null, endSignal: string | null): void => {
      over = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      resolve({ exitCode, signal: endSignal, timedOut, output: output.text(), log: log.text() });
    };
    child.on('error', (error) => {
      log.append(Buffer.from(`${error.message}\n`));
      finish(null, null);
    });
    child.on('close', finish);
  });
  return {
    get processId() {
      return over ? null : (child.pid ?? null);
    },
    ended: closed.then((end) => {
      signal?.throwIfAborted();
      return end;
    }),
    log: () => log.text(),
    async kill() {
      if (!over) killGroup(child);
      await closed;
    },
  };
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    if (process.platform === 'win32') child.kill('SIGKILL');
    else process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It ended by itself in the meantime.
  }
}

/**
 * A parent that dies by SIGKILL cannot end its children, and a benchmark left behind would disturb the next one. On
 * Linux the kernel does it: util-linux' `setpriv --pdeathsig` sets the wish and then becomes the program (same process
 * id). Where it is missing, and on other systems, such a program lives until its run is over.
 */
function parentDeathGuard(): string[] {
  if (process.platform !== 'linux') return [];
  for (const folder of (process.env['PATH'] ?? '').split(path.delimiter)) {
    if (folder === '') continue;
    const setpriv = path.join(folder, 'setpriv');
    try {
      accessSync(setpriv, constants.X_OK);
      // BusyBox has a setpriv that knows no --pdeathsig.
      if (path.basename(realpathSync(setpriv)) === 'busybox') continue;
      return [setpriv, '--pdeathsig', 'KILL'];
    } catch {
      // Not in this folder.
    }
  }
  return [];
}
