import { SingleBar } from 'cli-progress';
import { formatBytes, type Bytes } from '../units/index.ts';
import type { CliContext } from './context.ts';

/** A bar that counts bytes on standard error; it shows nothing where that is no terminal. */
export interface ByteProgress {
  readonly update: (done: Bytes, total: Bytes) => void;
  readonly stop: () => void;
}

/** A bar on standard error that leaves nothing behind. */
export function newBar(format: string): SingleBar {
  return new SingleBar({
    format,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    clearOnComplete: true,
    // The signals belong to the context, which stops the work; the work then stops the bar.
    gracefulExit: false,
    stream: process.stderr,
  });
}

export function startByteProgress(label: string, context: CliContext): ByteProgress {
  if (!context.isTerminal) return { update: () => undefined, stop: () => undefined };
  const bar = newBar(`${label} {bar} {percentage} % of {size}, {eta_formatted} left`);
  let started = false;
  return {
    update(done, total) {
      if (!started) bar.start(total, 0, { size: formatBytes(total) });
      started = true;
      bar.update(done);
    },
    stop: () => bar.stop(),
  };
}
