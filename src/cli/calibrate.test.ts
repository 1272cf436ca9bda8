import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exampleRecord } from '../../test/fixtures/measurement-record.ts';
import { recordingContext, type RecordingContext } from '../../test/fixtures/recording-context.ts';
import { gatherMachine } from '../machine/host/index.ts';
import { identify } from '../machine/index.ts';
import type { MeasurementRecord } from '../measure/index.ts';
import type { OwnDevice } from '../predict/index.ts';
import { readCalibrationFile, writeCalibration } from '../predict/host/index.ts';
import { openResultLog } from '../store/host/index.ts';
import { seconds } from '../units/index.ts';
import { partsOf, usualThreads } from './bench-host.ts';
import { lessonRecords } from './calibrate-lessons.ts';
import { backendOf } from './recorded-backend.ts';
import { planCalibration } from './calibrate-points.ts';
import { runCalibrate } from './calibrate.ts';
import { calibrationPath, resultLogPath } from './context.ts';
import { runPredict } from './predict.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ridgepoint-calibrate-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const contextIn = (name: string): RecordingContext =>
  recordingContext({ data: path.join(folder, name), config: folder, cache: folder });

const FLAGS = { engine: { kind: 'embedded' }, fromRecords: true, json: true } as const;

describe('the lengths of a calibration', () => {
  it('are the usual ones where that takes seconds, and shorter where it would take hours', () => {
    expect(planCalibration((tokens) => seconds(tokens / 5000))).toEqual({
      promptTokens: 512,
      depthTokens: 4096,
    });
    expect(planCalibration((tokens) => seconds(tokens / 25))).toEqual({
      promptTokens: 256,
      depthTokens: 2048,
    });
    expect(planCalibration((tokens) => seconds(tokens))).toEqual({ promptTokens: 128, depthTokens: 1024 });
  });
});

describe('the records that teach', () => {
  const here = { machine: { cpu: 'AMD EPYC', gpus: [] }, backend: 'cpu', threads: 2 };
  const usual = exampleRecord().settings;
  const record = (changes: Parameters<typeof exampleRecord>[0] = {}): MeasurementRecord =>
    exampleRecord({ settings: { ...usual, threads: 2 }, ...changes });

  it('are of this machine, with this backend, as a whole, and succeeded', () => {
    const { machine, engine } = record();
    const records = [
      record({ id: 'taught' }),
      record({ model: { ...record().model, name: 'other' }, machine: { ...machine, cpu: 'Another' } }),
      record({ engine: { ...engine, backends: 'Vulkan,BLAS' } }),
      record({ settings: { ...usual, threads: 1 } }),
      record({ settings: { ...usual, threads: 2, cpuMoeLayers: 4 } }),
      record({ outcome: 'crashed' }),
    ];
    expect(lessonRecords(records, here).map(({ id }) => id)).toEqual(['taught']);
  });

  it('are the last of each test', () => {
    const records = [record({ id: 'old' }), record({ id: 'new' })];
    expect(lessonRecords(records, here).map(({ id }) => id)).toEqual(['new']);
  });

  it('name their backend first', () => {
    expect([backendOf('CPU'), backendOf('Vulkan,BLAS'), backendOf('')]).toEqual(['cpu', 'vulkan', null]);
  });
});

describe('ridgepoint calibrate --from-records', () => {
  const own: Omit<OwnDevice, 'name'> = {
    id: 'own-anything',
    backend: 'cpu',
    unit: 'cpu',
    vendor: 'amd',
    integrated: false,
    memoryBytes: 24e9,
    measuredAt: '2026-11-21T08:08:14Z',
    fastestBytesPerSecond: 51.7e9,
    fastestFlopPerSecond: 412e9,
    types: [
      { type: 'F16', flopPerSecond: 85e9, bytesPerSecond: 41.5e9 },
      { type: 'Q6_K', flopPerSecond: 146e9, bytesPerSecond: 38.8e9 },
      { type: 'Q4_K', flopPerSecond: 296e9, bytesPerSecond: 41.3e9 },
    ],
  };

  it('says what to do where nothing was measured', async () => {
    await expect(
      runCalibrate({ ...FLAGS, machine: 'amd-ryzen-ai-max-395', backend: 'cpu' }, contextIn('empty')),
    ).rejects.toThrow(/Nothing was measured here .* without --from-records/);
  });

  it('makes predictions for this machine say calibrated, and follow what was measured', async () => {
    const context = contextIn('records');
    const facts = identify(await gatherMachine());
    const name = partsOf(facts).cpu;
    if (name === null) return;
    const old = {
      deviceId: own.id,
      backend: 'cpu',
      measuredAt: own.measuredAt,
      points: 1,
      generation: {},
      prompt: {},
    };
    await writeCalibration(calibrationPath(context.paths), old, { ...own, name });
    const predicted = async (): Promise<{ basis: string; tokensPerSecond: number }> => {
      context.printed.length = 0;
      const flags = { depth: [0], prompt: [512], gen: 128, json: true, backend: ['cpu'] };
      expect(await runPredict(['llama-3.2-3b:Q4_K_M'], flags, context)).toBe(0);
      const { predictions } = JSON.parse(context.printed.join('')) as {
        predictions: { generation: { basis: string; tokensPerSecond: number } }[];
      };
      const [first] = predictions;
      if (first === undefined) throw new Error('nothing was predicted');
      return first.generation;
    };
    const before = await predicted();
    const log = openResultLog(resultLogPath(context.paths));
    const example = exampleRecord();
    await log.append(
      exampleRecord({
        machine: { ...example.machine, ...partsOf(facts) },
        model: { ...example.model, source: 'synthetic', name: 'llama-3.2-3b:Q4_K_M', layers: 28 },
        settings: { ...example.settings, threads: usualThreads(facts) },
        test: { promptTokens: 0, generatedTokens: 32, depthTokens: 0 },
        // 32 tokens in 3.2 s: 10 tokens/s.
        exampleRuns: [{ layers: null, samplesNanoseconds: [3.2e9, 3.2e9, 3.2e9, 3.2e9, 3.2e9] }],
      }),
    );
    expect(await runCalibrate({ ...FLAGS, backend: 'cpu' }, context)).toBe(0);
    const after = await predicted();
    expect(after.basis).toBe('calibrated');
    expect(Math.abs(Math.log(after.tokensPerSecond / 10))).toBeLessThan(0.05);
    expect(Math.abs(Math.log(before.tokensPerSecond / 10))).toBeGreaterThan(0.2);
    expect(readCalibrationFile(calibrationPath(context.paths)).calibrations).toHaveLength(1);
    expect(await readFile(resultLogPath(context.paths), 'utf8')).toContain('llama-3.2-3b');
  });
});
