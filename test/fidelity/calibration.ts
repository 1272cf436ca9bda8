import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { computingPart, ownDevice, timeRound } from '../../src/cli/calibrate-device.ts';
import { calibrationFrom, lessonOf, type Lesson } from '../../src/cli/calibrate-lessons.ts';
import { DENSE_MODEL, EXPERT_MODEL } from '../../src/cli/calibrate-points.ts';
import { createContext } from '../../src/cli/context.ts';
import { openModel, openPredictor, targetOfOwn, type Target } from '../../src/cli/prediction-target.ts';
import { readDeviceRecords, readModelRecords } from '../../src/catalog/host/index.ts';
import { openEmbeddedEngine } from '../../src/engine/host/index.ts';
import { gatherMachine, startTelemetry } from '../../src/machine/host/index.ts';
import { identify, recommendedThreads, valueOf } from '../../src/machine/index.ts';
import {
  MIX_TYPES,
  planLayers,
  runSweep,
  type MeasurementRecord,
  type ModelFile,
  type SweepModel,
  type TimedRound,
} from '../../src/measure/index.ts';
import { openCache } from '../../src/cli/cache.ts';
import { parameterCount, weightBytes } from '../../src/model/index.ts';
import { OWN_MACHINE_FILE, ownMachineSchema, type OwnMachineSession } from '../../tools/fit/own-machine.ts';
import { readParameters } from '../../src/predict/host/index.ts';
import { Predictor, type Calibration } from '../../src/predict/index.ts';
import { testName } from '../../src/report/index.ts';
import { bytes, seconds } from '../../src/units/index.ts';
import { shapeNamed } from './models.ts';
import { printRows } from './table.ts';

/** Each session is calibrated anew; none of its judged models is one of the points. */
const SESSIONS: readonly (readonly string[])[] = [
  ['qwen3-1.7b:Q8_0', 'olmoe-1b-7b:Q4_K_M'],
  ['gemma-3-4b:Q4_0', 'granite-3.3-2b:Q5_K_M'],
];
const PROMPT = 512;
const GENERATED = 32;
const DEPTH = 2048;

interface Subject {
  readonly name: string;
  readonly judged: boolean;
  readonly model: SweepModel;
}
type Test = MeasurementRecord['test'];

const PROMPT_TEST: Test = { promptTokens: PROMPT, generatedTokens: 0, depthTokens: 0 };
const GENERATION_TEST: Test = { promptTokens: 0, generatedTokens: GENERATED, depthTokens: 0 };
const DEEP_PROMPT: Test = { ...PROMPT_TEST, depthTokens: DEPTH };
const DEEP_GENERATION: Test = { ...GENERATION_TEST, depthTokens: DEPTH };

/** Predictions calibrated by three synthetic points against whole synthetic models, measured in turn with the points. */
export async function compareCalibration(): Promise<void> {
  process.env['NODE_OPTIONS'] = '--import tsx';
  const wanted = process.argv.slice(2).filter((each) => SESSIONS.some((judged) => judged.includes(each)));
  for (const judged of SESSIONS) {
    if (wanted.length > 0 && !judged.some((each) => wanted.includes(each))) continue;
    const session = await runSession(judged);
    printSession(session);
    keep(session);
  }
}

async function runSession(judged: readonly string[]): Promise<OwnMachineSession> {
  const context = createContext('never');
  const engine = openEmbeddedEngine({ variant: 'cpu' });
  const description = await engine.describe();
  const facts = identify(await gatherMachine());
  const part = computingPart(facts, 'cpu');
  if (part === null) throw new Error('the processor has no name');
  const threads = valueOf(recommendedThreads(facts).threads) ?? 1;
  const lastLevelCacheBytes = valueOf(facts.cpu.l3TotalBytes) ?? null;
  const limits = { memoryBytes: bytes(process.availableMemory()), diskBytes: null, lastLevelCacheBytes };
  const subjects: Subject[] = [];
  const cache = await openCache(context);
  for (const name of [DENSE_MODEL, EXPERT_MODEL, ...judged]) {
    const { shape, mix } = shapeNamed(name);
    const files: ModelFile[] = [];
    const layers = judged.includes(name) ? 'all' : 'auto';
    for (const sample of planLayers(shape, mix, layers, limits).samples) {
      const file = await cache.ensure({ shape, mix, layers: sample });
      files.push({ path: file.path, bytes: file.bytes, layers: sample });
    }
    const facts: SweepModel['facts'] = {
      source: 'synthetic',
      name,
      file: files.at(-1)?.path ?? '',
      architecture: shape.architecture,
      quantisation: mix,
      shapeHash: null,
      description: name,
      sizeBytes: weightBytes(shape, mix),
      parameters: parameterCount(shape),
      layers: shape.layers,
    };
    const model = { facts, open: async () => ({ files, warnings: [], release: () => undefined }) };
    subjects.push({ name, judged: judged.includes(name), model });
  }
  const products: TimedRound[] = [];
  const signal = new AbortController().signal;
  const timeProducts = async (): Promise<void> => {
    const probe = engine.probe(signal);
    products.push(await timeRound(probe, threads, lastLevelCacheBytes, MIX_TYPES, signal));
    await probe.end();
  };
  const records = new Map<string, MeasurementRecord[]>();
  const [dense, experts, first, second] = subjects;
  if (!dense || !experts || !first || !second) throw new Error('a session judges two models');
  // Points and judged models take turns, there and back: a machine that is slow for a while is slow for both.
  const visits: readonly (readonly [Subject, readonly Test[]])[] = [
    [dense, [PROMPT_TEST, GENERATION_TEST]],
    [first, [PROMPT_TEST, GENERATION_TEST]],
    [experts, [PROMPT_TEST, GENERATION_TEST]],
    [second, [PROMPT_TEST, GENERATION_TEST]],
    [dense, [DEEP_PROMPT, DEEP_GENERATION]],
    [first, [DEEP_GENERATION]],
    [second, [DEEP_GENERATION, PROMPT_TEST, GENERATION_TEST]],
    [first, [PROMPT_TEST, GENERATION_TEST]],
    [dense, [PROMPT_TEST, GENERATION_TEST]],
  ];
  for (const [visit, [subject, tests]] of visits.entries()) {
    if (visit % 4 === 0) await timeProducts();
    const { name, model } = subject;
    for (const test of tests) {
      const [record] = await runSweep(
        {
          benchmark: { id: 'ridgepoint.fidelity', version: 1 },
          key: '',
          run: randomUUID(),
          points: [
            {
              model,
              test,
              settings: {
                gpuLayers: -1,
                cpuMoeLayers: 0,
                batchTokens: 2048,
                ubatchTokens: 512,
                cacheTypeK: 'f16',
                cacheTypeV: 'f16',
                flashAttention: 'auto',
                threads,
              },
            },
          ],
          finished: new Set(),
          repetitions: { count: 2, budgetSeconds: seconds(4) },
          limits: { loadMilliseconds: 600_000, repetitionMilliseconds: 600_000 },
        },
        {
          engine,
          description,
          machine: {
            stateHash: '',
            state: {},
            cpu: part.name,
            memoryBytes: null,
            gpus: [],
            operatingSystem: null,
          },
          observer: {
            now: () => seconds(performance.now() / 1000),
            watch: (pid) => startTelemetry({ pid }),
          },
          append: () => Promise.resolve(),
          newId: randomUUID,
          timestamp: () => new Date().toISOString(),
          availableBytes: () => null,
          onEvent: () => undefined,
        },
        signal,
      );
      if (record?.outcome !== 'measured') throw new Error(record?.failure?.sentence ?? 'nothing measured');
      const key = `${name} ${testName(test)}`;
      records.set(key, [...(records.get(key) ?? []), record]);
      process.stderr.write(`${new Date().toISOString()} ${key}\n`);
    }
  }
  await timeProducts();
  const target = targetOfOwn(ownDevice(part, 'cpu', products), 'this machine');
  const parameters = readParameters();
  const catalog = { devices: readDeviceRecords(), models: readModelRecords() };
  const lessonsOf = async (ofJudged: boolean, predictor: Predictor, on: Target): Promise<Lesson[]> => {
    const lessons: Lesson[] = [];
    for (const { name, judged: isJudged } of subjects) {
      if (isJudged !== ofJudged) continue;
      const model = await openModel(name, context);
      for (const test of [PROMPT_TEST, GENERATION_TEST, DEEP_PROMPT, DEEP_GENERATION]) {
        const rounds = records.get(`${name} ${testName(test)}`);
        if (rounds === undefined) continue;
        const merged = mergedRecord(rounds);
        const lesson = lessonOf(merged, model, on, predictor);
        if (lesson === null) throw new Error(`${name} ${testName(test)} made no number`);
        lessons.push(lesson);
      }
    }
    return lessons;
  };
  const points = await lessonsOf(false, openPredictor(context, []), target);
  const calibration: Calibration = calibrationFrom(points, target, new Date().toISOString());
  const calibrated = new Predictor(parameters, catalog, [calibration]);
  const results = await lessonsOf(true, calibrated, target);
  return {
    measuredAt: calibration.measuredAt,
    processor: `${part.name}, ${threads} threads`,
    device: ownDevice(part, 'cpu', products),
    points: points.map(rowOf),
    judged: await Promise.all(
      results.map(async (lesson) => {
        const model = await openModel(lesson.name, context);
        const configuration = model.configurationOn(target, {
          depth: lesson.depth,
          ubatch: null,
          flashAttention: null,
          cacheType: null,
        });
        const { low, high } = calibrated.predict(configuration, lesson.test, model.id);
        return { ...rowOf(lesson), lowTokensPerSecond: low, highTokensPerSecond: high };
      }),
    ),
    records: [...records.values()].flat().map(({ model, test, runs, warnings }) => ({
      model: model.name,
      test: testName(test),
      runs: runs.map(({ layers, samplesNanoseconds }) => ({
        layers: layers?.length ?? null,
        samplesNanoseconds: [...samplesNanoseconds],
      })),
      warnings: [...warnings],
    })),
  };
}

/** All rounds of a test as one record. */
function mergedRecord(rounds: readonly MeasurementRecord[]): MeasurementRecord {
  const [first] = rounds;
  if (first === undefined) throw new Error('no round measured this');
  return {
    ...first,
    runs: first.runs.map((run, index) => ({
      ...run,
      samplesNanoseconds: rounds.flatMap((round) => round.runs[index]?.samplesNanoseconds ?? []),
    })),
  };
}

const rowOf = ({ name, test, depth, measuredSpeed, predictedSpeed }: Lesson) => ({
  model: name,
  test: test.metric === 'prompt' ? `pp${test.tokens}` : `tg${GENERATED}`,
  depthTokens: depth,
  measuredTokensPerSecond: measuredSpeed,
  predictedTokensPerSecond: predictedSpeed,
});

function printSession({ processor, points, judged }: OwnMachineSession): void {
  const name = (row: OwnMachineSession['points'][number]): string =>
    `${row.test}${row.depthTokens === 0 ? '' : ` @ d${row.depthTokens}`}`;
  const head = ['model', 'test', 'measured', 'predicted'];
  process.stdout.write(`${processor}\n\nThe points, and what was predicted for them before:\n\n`);
  printRows(
    head,
    points.map((row) => [
      row.model,
      name(row),
      row.measuredTokensPerSecond.toFixed(2),
      row.predictedTokensPerSecond.toFixed(2),
    ]),
  );
  process.stdout.write('Judged, whole models:\n\n');
  printRows(
    [...head, '80 % interval', 'predicted / measured'],
    judged.map((row) => [
      row.model,
      name(row),
      row.measuredTokensPerSecond.toFixed(2),
      row.predictedTokensPerSecond.toFixed(2),
      `${row.lowTokensPerSecond.toFixed(2)} to ${row.highTokensPerSecond.toFixed(2)}`,
      (row.predictedTokensPerSecond / row.measuredTokensPerSecond).toFixed(3),
    ]),
  );
}

/** Puts a session in place of an older one of the same models. */
function keep(session: OwnMachineSession): void {
  const models = (each: OwnMachineSession): string =>
    [...new Set(each.judged.map(({ model }) => model))].join();
  const before = existsSync(OWN_MACHINE_FILE)
    ? ownMachineSchema.parse(JSON.parse(readFileSync(OWN_MACHINE_FILE, 'utf8'))).sessions
    : [];
  const sessions = [...before.filter((each) => models(each) !== models(session)), session];
  writeFileSync(OWN_MACHINE_FILE, `${JSON.stringify({ schemaVersion: 1, sessions }, null, 1)}\n`);
}
