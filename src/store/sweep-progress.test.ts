import { describe, expect, test } from 'vitest';
import { exampleRecord, failedWith } from '../../test/fixtures/measurement-record.ts';
import type { MeasurementRecord } from '../measure/index.ts';
import { sweepProgress } from './sweep-progress.ts';

const point = (
  index: number,
  { key = 'k', run = 'r1', points = 3, ...rest } = {},
  changes = {},
): MeasurementRecord =>
  exampleRecord({ id: `${key}-${run}-${index}`, sweep: { key, run, index, points }, ...rest, ...changes });
const indices = (records: MeasurementRecord[]): number[] => [
  ...(sweepProgress(records, 'k')?.finished.keys() ?? []),
];

describe('the progress of a sweep', () => {
  test('is null before its first point and complete after its last', () => {
    expect(sweepProgress([point(0, { key: 'another' })], 'k')).toBeNull();
    expect(sweepProgress([point(0), point(1)], 'k')?.complete).toBe(false);
    expect(sweepProgress([point(0), point(1), point(2)], 'k')?.complete).toBe(true);
  });

  test('names the finished points of the newest run only', () => {
    const records = [point(0), point(1), point(2, { run: 'r2' }), point(0, { key: 'another', run: 'r9' })];
    expect(sweepProgress(records, 'k')?.run).toBe('r2');
    expect(indices(records)).toEqual([2]);
  });

  test('does not go back to an unfinished run behind a complete one', () => {
    const complete = [0, 1, 2].map((index) => point(index, { run: 'r2' }));
    expect(sweepProgress([point(0), ...complete], 'k')).toMatchObject({ run: 'r2', complete: true });
  });

  test('counts failures as results', () => {
    expect(indices([point(0, {}, failedWith('out-of-memory', 'No.')), point(1)])).toEqual([0, 1]);
    expect(indices([point(0, {}, failedWith('crashed', 'No.', 'SIGSEGV'))])).toEqual([0]);
    expect(indices([point(0, {}, failedWith('timed-out', 'No.', 'SIGKILL'))])).toEqual([0]);
  });

  test('measures a point again whose engine was killed from outside', () => {
    const killed = point(0, {}, failedWith('crashed', 'Killed.', 'SIGKILL'));
    expect(indices([killed, point(1)])).toEqual([1]);
    expect(indices([killed, point(1), point(0)])).toEqual([1, 0]);
    expect(indices([point(0), killed])).toEqual([]);
  });

  test('ignores points beyond the end of the sweep', () => {
    expect(indices([point(7), point(1)])).toEqual([1]);
  });
});
