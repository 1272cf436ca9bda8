import type { MeasurementRecord } from '../measure/index.ts';

/** How far the newest run of a sweep came. */
export interface SweepProgress {
  /** Goes into the records of the points that are still to be measured. */
  readonly run: string;
  /** By index of the point: the record that settles it. */
  readonly finished: ReadonlyMap<number, MeasurementRecord>;
  /** No point is missing. */
  readonly complete: boolean;
}

/**
 * What the newest run of a sweep has already measured.
 * @param records - in the order of the log, of any sweeps.
 * @param key - names the settings and the state of the machine; records of another state never count.
 * @returns null when the sweep never ran.
 */
export function sweepProgress(records: readonly MeasurementRecord[], key: string): SweepProgress | null {
  const newest = records.findLast((record) => record.sweep.key === key)?.sweep;
  if (newest === undefined) return null;
  const finished = new Map<number, MeasurementRecord>();
  for (const record of records) {
    const { sweep } = record;
    if (sweep.key !== key || sweep.run !== newest.run || sweep.index >= newest.points) continue;
    if (settlesItsPoint(record)) finished.set(sweep.index, record);
    else finished.delete(sweep.index);
  }
  return { run: newest.run, finished, complete: finished.size >= newest.points };
}

/**
 * A failure is a result like any other. Only an engine that somebody killed from outside says nothing about its point:
 * the kernel short of memory, or a user in a hurry.
 */
function settlesItsPoint(record: MeasurementRecord): boolean {
  return !(record.outcome === 'crashed' && record.failure?.signal === 'SIGKILL');
}
