import { describe, expect, test } from 'vitest';
import { exampleRecord } from '../../../test/fixtures/measurement-record.ts';
import { nanoseconds } from '../../units/index.ts';
import { PROBE_SCHEMA_VERSION, probeProgress, probeRecordSchema, type ProbeRecord } from './record.ts';

const { machine, engine } = exampleRecord();

function line(run: string, changes: Partial<ProbeRecord> = {}): ProbeRecord {
  return {
    schemaVersion: PROBE_SCHEMA_VERSION,
    id: 'one',
    benchmark: { id: 'ridgepoint.probe', version: 1 },
    series: { key: 'k', run },
    startedAt: '2026-08-01T10:00:00.000Z',
    machine,
    engine,
    device: 'CPU',
    threads: 2,
    subject: {
      kind: 'matmul',
      by: 'ggml',
      type: 'F16',
      rows: 256,
      batch: 256,
      columns: 256,
      purpose: 'search',
      environment: {},
    },
    samplesNanoseconds: [nanoseconds(1000)],
    telemetry: null,
    failure: null,
    ...changes,
  };
}

describe('the record of a probe', () => {
  test('is read as it was written', () => {
    expect(probeRecordSchema.parse(JSON.parse(JSON.stringify(line('r1'))))).toEqual(line('r1'));
  });
});

describe('the progress of a probe', () => {
  test('is what the newest run of the series has timed, until it came to its end', () => {
    const end = line('r1', { subject: { kind: 'end' } });
    expect(probeProgress([], 'k')).toBeNull();
    expect(probeProgress([line('r1'), end], 'k')).toBeNull();
    expect(probeProgress([line('r1'), end, line('r2')], 'k')).toMatchObject({
      run: 'r2',
      readings: [{ threads: 2 }],
    });
    expect(probeProgress([line('r1')], 'another')).toBeNull();
  });
});
