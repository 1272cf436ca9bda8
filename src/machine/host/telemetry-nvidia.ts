import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { known, unknown, type Fact } from '../fact.ts';
import { parseNvidiaTelemetry, type NvidiaTelemetry } from '../parse/nvidia-telemetry.ts';

/** Columns in the order of `parseNvidiaTelemetry`. */
const COLUMNS = 'power.draw,clocks.sm,temperature.gpu,memory.used';
/** A loop of nvidia-smi itself: starting it anew for each reading costs tens of milliseconds of processor time. */
const LOOP_MS = 500;
const PROGRAM = 'nvidia-smi';

export interface NvidiaStream {
  latest(): NvidiaTelemetry;
  close(): void;
}

/** Keeps the latest line of one nvidia-smi that prints the first GPU again and again until `close`. */
export function streamNvidiaSmi(): NvidiaStream {
  let latest: Fact<string> = unknown('has not answered yet', PROGRAM);
  const child = spawn(
    PROGRAM,
    [`--query-gpu=${COLUMNS}`, '--format=csv,noheader,nounits', '-i', '0', '-lms', String(LOOP_MS)],
    { stdio: ['ignore', 'pipe', 'ignore'], windowsHide: true, env: { ...process.env, LC_ALL: 'C' } },
  );
  child.on('error', (error) => {
    const missing = 'code' in error && error.code === 'ENOENT';
    latest = unknown(missing ? 'is not installed' : 'could not be started', PROGRAM);
  });
  child.on('exit', (code) => {
    latest = unknown(`ended with ${code ?? 'a signal'}`, PROGRAM);
  });
  child.unref();
  createInterface({ input: child.stdout }).on('line', (line) => {
    latest = known(line, PROGRAM);
  });
  return {
    latest: () => parseNvidiaTelemetry(latest),
    close() {
      child.stdout.destroy();
      child.kill('SIGKILL');
    },
  };
}
