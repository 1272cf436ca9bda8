import { shapeLabel, streamRate, type ProbeReading } from '../measure/index.ts';
import { formatBandwidth, formatBytes, formatFlopPerSecond, type FlopPerSecond } from '../units/index.ts';
import type { Shape } from '../measure/index.ts';
import type { CliContext } from './context.ts';
import { newBar } from './progress.ts';

/** A bar on standard error with what was found last; a line where that is no terminal. */
export interface ProbeProgress {
  readonly reading: (reading: ProbeReading, done: number, total: number) => void;
  readonly best: (best: { shape: Shape; rate: FlopPerSecond } | null, done: number, total: number) => void;
  readonly stop: () => void;
}

export function startProbeProgress(name: string, context: CliContext): ProbeProgress {
  if (!context.isTerminal) {
    context.stderr(context.errorColors.dim(`Probing ${name} ...`));
    return { reading: () => undefined, best: () => undefined, stop: () => undefined };
  }
  const bar = newBar(`${name} {bar} {value}/{total} · {now}`);
  let started = false;
  const show = (done: number, total: number, now: string): void => {
    if (!started) bar.start(total, 0, { now });
    started = true;
    bar.setTotal(total);
    bar.update(done, { now });
  };
  return {
    reading: (reading, done, total) => show(done, total, lastFound(reading)),
    best: (best, done, total) =>
      show(
        done,
        total,
        best === null ? '' : `best so far ${formatFlopPerSecond(best.rate)} at ${shapeLabel(best.shape)}`,
      ),
    stop: () => bar.stop(),
  };
}

function lastFound(reading: ProbeReading): string {
  const { subject, failure } = reading;
  if (failure !== null) return failure.sentence;
  if (subject.kind === 'stream') {
    const rate = streamRate(reading);
    const found = rate === null ? '' : `: ${formatBandwidth(rate.value)}`;
    return `${subject.operation} ${formatBytes(subject.workingSetBytes)}${found}`;
  }
  return subject.kind === 'transfer'
    ? `${subject.direction}, ${subject.memory}, ${formatBytes(subject.sizeBytes)}`
    : '';
}
