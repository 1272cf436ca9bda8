import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exampleRecord } from '../../test/fixtures/measurement-record.ts';
import { recordingContext, type RecordingContext } from '../../test/fixtures/recording-context.ts';
import { gatherMachine } from '../machine/host/index.ts';
import { identify } from '../machine/index.ts';
import { probeRecordSchema, type ProbeRecord } from '../measure/index.ts';
import { openProbeLog } from '../store/host/index.ts';
import { partsOf } from './bench-host.ts';
import { probeLogPath, type CliContext } from './context.ts';
import { openTarget, ownMeasurements } from './prediction-target.ts';
import { probedDevices } from './probed-device.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ridgepoint-probed-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const contextIn = (name: string): RecordingContext =>
  recordingContext({ data: path.join(folder, name), config: folder, cache: folder });

function reading(subject: object, samplesNanoseconds: readonly number[], machine: object = {}): ProbeRecord {
  const example = exampleRecord();
  return probeRecordSchema.parse({
    schemaVersion: 1,
    id: 'reading',
    benchmark: { id: 'ridgepoint.probe', version: 1 },
    series: { key: 'key', run: 'run' },
    startedAt: '2026-11-21T08:00:00.000Z',
    machine: { ...example.machine, ...machine },
    engine: example.engine,
    device: 'CPU',
    threads: 2,
    subject,
    samplesNanoseconds,
    telemetry: null,
    failure: null,
  });
}

/** A set that is read in so many nanoseconds. */
const stream = (workingSetBytes: number, nanoseconds: number): object => ({
  subject: {
    kind: 'stream',
    operation: 'read',
    workingSetBytes,
    steps: 1,
    bytesPerStep: workingSetBytes,
    emptyStepNanoseconds: 0,
  },
  nanoseconds,
});
const product = {
  kind: 'matmul',
  by: 'ggml',
  type: 'Q4_K',
  rows: 1024,
  batch: 512,
  columns: 1024,
  purpose: 'search',
  environment: {},
};

async function writeLog(context: CliContext, records: readonly ProbeRecord[]): Promise<void> {
  const log = openProbeLog(probeLogPath(context.paths));
  for (const record of records) await log.append(record);
}

describe('a device that was probed', () => {
  const records = (machine: object = {}): ProbeRecord[] => {
    const largest = stream(2 ** 29, 2 ** 29 / 40) as { subject: object; nanoseconds: number };
    const inCache = stream(2 ** 20, 2 ** 20 / 200) as typeof largest;
    return [
      reading(inCache.subject, [inCache.nanoseconds, inCache.nanoseconds], machine),
      reading(largest.subject, [largest.nanoseconds, largest.nanoseconds, largest.nanoseconds * 2], machine),
      // 2 x 1024 x 512 x 1024 operations in 4 ms.
      reading(product, [4e6, 4e6, 4e6], machine),
    ];
  };

  it('reads as fast as the largest set, and multiplies as fast as its products', async () => {
    const context = contextIn('probed');
    await writeLog(context, records());
    const [device, ...others] = await probedDevices(context);
    expect(others).toEqual([]);
    expect(device).toMatchObject({ id: 'own-amd-epyc', backend: 'cpu', unit: 'cpu' });
    expect(device?.types.map(({ type }) => type)).toEqual(['Q4_K']);
    expect(device?.types[0]?.bytesPerSecond).toBeCloseTo(40e9, -8);
    expect(device?.types[0]?.flopPerSecond).toBeCloseTo(268.4e9, -8);
  });

  it('is none where only one of the two was measured', async () => {
    const context = contextIn('half');
    await writeLog(context, records().slice(0, 2));
    expect(await probedDevices(context)).toEqual([]);
    expect(await probedDevices(contextIn('nothing'))).toEqual([]);
  });

  it('is what predictions for this machine mean where no catalogue knows it', async () => {
    const context = contextIn('here');
    const parts = partsOf(identify(await gatherMachine()));
    await writeLog(context, records(parts));
    const target = await openTarget(undefined, 'cpu', ownMeasurements(context)).catch(() => null);
    const listed = await openTarget(undefined, 'cpu').catch(() => null);
    // A processor of the catalogue stays what it is there.
    expect(target?.device.measured !== undefined).toBe(listed === null && parts.cpu !== null);
  });
});
