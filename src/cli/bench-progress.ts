import type { SweepEvent } from '../measure/index.ts';
import { testName } from '../report/index.ts';
import { shortName } from './bench-models.ts';
import type { CliContext } from './context.ts';
import { newBar } from './progress.ts';

/** A bar that counts points on standard error, with the time left; nothing where that is no terminal. */
export interface PointProgress {
  readonly update: (event: SweepEvent) => void;
  readonly stop: () => void;
}

export function startPointProgress(total: number, done: number, context: CliContext): PointProgress {
  if (!context.isTerminal) return { update: () => undefined, stop: () => undefined };
  const bar = newBar('{bar} {value}/{total} points, {eta_formatted} left · {now}');
  bar.start(total, done, { now: '' });
  let name = '';
  return {
    update(event) {
      if (event.kind === 'point-settled') {
        bar.increment(1);
        return;
      }
      if (event.kind === 'point-started') {
        name = `${shortName(event.point.model.facts.name)} ${testName(event.point.test)}`;
        bar.update({ now: name });
        return;
      }
      bar.update({ now: `${name}, repetition ${event.done}` });
    },
    stop: () => bar.stop(),
  };
}
