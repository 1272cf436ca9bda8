import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { computingPart, ownDevice, timeRound } from '../../src/cli/calibrate-device.ts';
import { DENSE_MODEL, EXPERT_MODEL } from '../../src/cli/calibrate-points.ts';
import { createContext } from '../../src/cli/context.ts';
import { openEmbeddedEngine } from '../../src/engine/host/index.ts';
import { gatherMachine, startTelemetry } from '../../src/machine/host/index.ts';
import { identify, recommendedThreads, valueOf } from '../../src/machine/index.ts';
import {
  MIX_TYPES,
  planLayers,
  runSweep,
  summariseOrExplain,
  type MeasurementRecord,
  type ModelFile,
  type SweepModel,
  type TimedRound,
} from '../../src/measure/index.ts';
import { openCache } from '../../src/cli/cache.ts';
import { syntheticFacts } from '../../src/cli/synthetic-facts.ts';
import {
  judgeSession,
  OWN_MACHINE_FILE,
  ownMachineSchema,
  rowName,
  type JudgedRow,
  type MeasuredRow,
  type OwnMachineSession,
} from '../../tools/fit/own-machine.ts';
import { testName } from '../../src/report/index.ts';
import { bytes, seconds } from '../../src/units/index.ts';
import { shapeNamed } from './models.ts';
import { printRows } from './table.ts';

/** Each session is calibrated anew; none of its judged models is one of the points. */
const SESSIONS: readonly (readonly string[])[] = [
  ['qwen3-1.7b:Q8_0', 'olmoe-1b-7b:Q4_K_M'],
  ['gemma-3-4b:Q4_0', 'olmo-2-1b:Q6_K'],
  ['granite-3.3-2b:Q5_K_M', 'smollm2-1.7b:Q8_0'],
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
const TESTS = [PROMPT_TEST, GENERATION_TEST, DEEP_PROMPT, DEEP_GENERATION] as const;

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
    const facts = syntheticFacts(name, shape, mix);
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
    [second, [DEEP_GENERATION, GENERATION_TEST]],
    [first, [GENERATION_TEST]],
    [experts, [GENERATION_TEST]],
    [dense, [GENERATION_TEST]],
    [second, [GENERATION_TEST]],
    [first, [GENERATION_TEST]],
    [dense, [GENERATION_TEST]],
  ];
  for (const [visit, [subject, tests]] of visits.entries()) {
    if (visit === 0 || visit === 4) await timeProducts();
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
  const rowsOf = (ofJudged: boolean): MeasuredRow[] =>
    subjects
      .filter(({ judged: isJudged }) => isJudged === ofJudged)
      .flatMap(({ name }) =>
        TESTS.flatMap((test) => {
          const rounds = records.get(`${name} ${testName(test)}`);
          return rounds === undefined ? [] : [{ model: name, ...test, tokensPerSecond: speedOf(rounds) }];
        }),
      );
  return {
    measuredAt: new Date().toISOString(),
    processor: `${part.name}, ${threads} threads`,
    device: ownDevice(part, 'cpu', products),
    points: rowsOf(false),
    judged: rowsOf(true),
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

/** The median of all visits to a test. */
function speedOf(visits: readonly MeasurementRecord[]): number {
  const [first] = visits;
  if (first === undefined) throw new Error('nothing was measured');
  const merged = {
    ...first,
    runs: first.runs.map((run, index) => ({
      ...run,
      samplesNanoseconds: visits.flatMap((visit) => visit.runs[index]?.samplesNanoseconds ?? []),
    })),
  };
  const { summary, reason } = summariseOrExplain(merged);
  if (summary === null) throw new Error(`${first.model.name}: ${reason}`);
  return summary.tokensPerSecond.value;
}

function printSession(session: OwnMachineSession): void {
  const { points, judged } = judgeSession(session);
  const line = ({ row, prediction }: JudgedRow): string[] => [
    row.model,
    rowName(row),
    row.tokensPerSecond.toFixed(2),
    prediction.tokensPerSecond.toFixed(2),
    (prediction.tokensPerSecond / row.tokensPerSecond).toFixed(3),
  ];
  const head = ['model', 'test', 'measured', 'predicted', 'predicted / measured'];
  process.stdout.write(
    `${session.processor}\n\nThe points, predicted from the rates of single products alone:\n\n`,
  );
  printRows(head, points.map(line));
  process.stdout.write('Judged, whole models, predicted with the points:\n\n');
  printRows(
    [...head, '80 % interval'],
    judged.map((each) => [
      ...line(each),
      `${each.prediction.low.toFixed(2)} to ${each.prediction.high.toFixed(2)}`,
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
