import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { openCache } from '../../src/cli/cache.ts';
import { computingPart, ownDevice, timeRound, type DeviceRound } from '../../src/cli/calibrate-device.ts';
import { DENSE_MODEL, EXPERT_MODEL } from '../../src/cli/calibrate-points.ts';
import { createContext } from '../../src/cli/context.ts';
import { loadSample, samplesOf, timeSample, USUAL_SETTINGS } from '../../src/cli/type-samples.ts';
import { openEmbeddedEngine } from '../../src/engine/host/index.ts';
import type { BenchTest, LoadedModel } from '../../src/engine/index.ts';
import { gatherMachine, startTelemetry } from '../../src/machine/host/index.ts';
import { identify, recommendedThreads, valueOf } from '../../src/machine/index.ts';
import { planLayers, type SampleRound } from '../../src/measure/index.ts';
import { fitLayerLine } from '../../src/measure/layer-extrapolation.ts';
import { tensorsOf, type GgmlTypeName } from '../../src/model/index.ts';
import { testName } from '../../src/report/index.ts';
import { median, sortSamples } from '../../src/stats/index.ts';
import { bytes } from '../../src/units/index.ts';
import {
  judgeSession,
  OWN_MACHINE_FILE,
  ownMachineSchema,
  rowName,
  type JudgedRow,
  type MeasuredRow,
  type OwnMachineSession,
} from '../../tools/fit/own-machine.ts';
import { shapeNamed } from './models.ts';
import { printRows } from './table.ts';

/** A session measures for so long, when all is loaded and the caches are filled. */
const SESSION_SECONDS = 600;
/** Prompts take a minute a round: one of so many rounds has them. */
const ROUNDS_PER_PROMPT = 4;
const PROMPT = 512;
const GENERATED = 32;
const DEPTH = 2048;
const LIMITS = { loadMilliseconds: 600_000, repetitionMilliseconds: 600_000 } as const;

const PROMPT_TEST: BenchTest = { promptTokens: PROMPT, generatedTokens: 0, depthTokens: 0 };
const GENERATION_TEST: BenchTest = { promptTokens: 0, generatedTokens: GENERATED, depthTokens: 0 };
const DEEP_PROMPT: BenchTest = { ...PROMPT_TEST, depthTokens: DEPTH };
const DEEP_GENERATION: BenchTest = { ...GENERATION_TEST, depthTokens: DEPTH };

/** One file of a model: some of its layers, or all. */
interface Part {
  readonly layers: number;
  readonly loaded: LoadedModel;
}
interface Subject {
  readonly name: string;
  readonly judged: boolean;
  readonly totalLayers: number;
  readonly parts: readonly Part[];
  readonly tests: readonly BenchTest[];
  /** Nanoseconds of each repetition, by test and part. */
  readonly samples: Map<string, number[][]>;
}

/**
 * Predictions calibrated by three synthetic points against whole synthetic models, named on the command line. The
 * samples of the points, those of the types of weights, and the whole models are in memory together and take turns, so
 * that what the machine does in a minute it does to all of them.
 * @param whenReady - done when all is loaded: from then on the machine should be quiet.
 */
export async function compareCalibration(
  whenReady: () => Promise<void> = async () => undefined,
): Promise<void> {
  process.env['NODE_OPTIONS'] = '--import tsx';
  const judged = process.argv.slice(2).filter((each) => each.includes(':'));
  if (judged.length === 0) {
    process.stdout.write(
      'Left out: name the models to judge, as in `npm run fidelity -- calibration phi-2:Q6_K`.\n',
    );
    return;
  }
  const session = await runSession(judged, whenReady);
  printSession(session);
  keep(session);
}

async function runSession(
  judged: readonly string[],
  whenReady: () => Promise<void>,
): Promise<OwnMachineSession> {
  const engine = openEmbeddedEngine({ variant: 'cpu' });
  const facts = identify(await gatherMachine());
  const part = computingPart(facts, 'cpu');
  if (part === null) throw new Error('the processor has no name');
  const threads = valueOf(recommendedThreads(facts).threads) ?? 1;
  const lastLevelCacheBytes = valueOf(facts.cpu.l3TotalBytes) ?? null;
  const signal = new AbortController().signal;
  const cache = await openCache(createContext('never'));
  const subjects: Subject[] = [];
  for (const name of [DENSE_MODEL, judged[0], EXPERT_MODEL, ...judged.slice(1)]) {
    if (name === undefined) continue;
    const { shape, mix } = shapeNamed(name);
    const isJudged = judged.includes(name);
    const parts: Part[] = [];
    const limits = { memoryBytes: bytes(process.availableMemory()), diskBytes: null, lastLevelCacheBytes };
    for (const layers of planLayers(shape, mix, isJudged ? 'all' : 'auto', limits).samples) {
      const { path } = await cache.ensure({ shape, mix, layers });
      const settings = {
        ...USUAL_SETTINGS,
        modelPath: path,
        contextTokens: DEPTH + PROMPT + GENERATED,
        threads,
      };
      parts.push({ layers: layers.length, loaded: await engine.load(settings, LIMITS, signal) });
    }
    const shallow = [GENERATION_TEST, PROMPT_TEST];
    const tests = isJudged
      ? [...shallow, DEEP_GENERATION]
      : name === DENSE_MODEL
        ? [...shallow, DEEP_GENERATION, DEEP_PROMPT]
        : shallow;
    subjects.push({ name, judged: isJudged, totalLayers: shape.layers, parts, tests, samples: new Map() });
    say(`loaded ${name}`);
  }
  const types = typesOf([DENSE_MODEL, EXPERT_MODEL, ...judged]);
  const samples = await Promise.all(
    samplesOf(types.filter((type) => type !== 'F16')).map((sample) =>
      loadSample(sample, engine, cache, threads, LIMITS, signal),
    ),
  );
  say('ready');
  await whenReady();
  for (const { parts, tests } of subjects) {
    for (const { loaded } of parts) {
      // Fills the cache to the depth, once: every later repetition restores it.
      for (const test of tests.filter(({ promptTokens }) => promptTokens === 0)) {
        await loaded.run({ test, repetitions: 1 });
      }
    }
  }
  for (const sample of samples) await timeSample(sample);
  say('filled');

  const probe = engine.probe(signal);
  const rounds: DeviceRound[] = [];
  const sampled = samples.map((): SampleRound[] => []);
  const end = performance.now() + SESSION_SECONDS * 1000;
  const timeSamples = async (): Promise<void> => {
    for (const [at, sample] of samples.entries()) sampled[at]?.push(await timeSample(sample));
  };
  for (let round = 0; performance.now() < end; round += 1) {
    // They are short: before and behind the models, they see the same minutes.
    await timeSamples();
    const there = round % 2 === 0;
    for (const subject of there ? subjects : subjects.toReversed()) {
      for (const test of subject.tests) {
        if (test.promptTokens > 0 && round % ROUNDS_PER_PROMPT !== 1) continue;
        const times: number[] = [];
        const parts = [...subject.parts.entries()];
        for (const [at, { loaded }] of there ? parts : parts.toReversed())
          times[at] = await once(loaded, test);
        const kept = subject.samples.get(testName(test)) ?? subject.parts.map((): number[] => []);
        subject.samples.set(testName(test), kept);
        // Only whole rounds: the parts of a model are compared with each other.
        if (times.some(Number.isNaN)) continue;
        for (const [at, own] of kept.entries()) own.push(times[at] ?? Number.NaN);
      }
    }
    await timeSamples();
    rounds.push(await timeRound(probe, threads, lastLevelCacheBytes, types, 'cpu', signal));
    say(`round ${round + 1}`);
  }
  await probe.end();
  for (const { parts } of subjects) for (const { loaded } of parts) await loaded.end();
  for (const sample of samples) await sample.end();

  const timed = samples.map(({ sample }, at) => ({ sample, rounds: sampled[at] ?? [] }));
  const rowsOf = (ofJudged: boolean): MeasuredRow[] =>
    subjects
      .filter((each) => each.judged === ofJudged)
      .flatMap((subject) =>
        subject.tests.map((test) => ({
          model: subject.name,
          ...test,
          tokensPerSecond: speedOf(subject, test),
        })),
      );
  return {
    measuredAt: new Date().toISOString(),
    processor: `${part.name}, ${threads} threads`,
    protocol: 'paired',
    device: ownDevice(part, 'cpu', rounds, timed),
    points: rowsOf(false),
    judged: rowsOf(true),
    records: [
      ...subjects.flatMap(({ name, parts, samples: bySubject }) =>
        [...bySubject].map(([test, times]) => ({
          model: name,
          test,
          runs: parts.map(({ layers }, at) => ({ layers, samplesNanoseconds: times[at] ?? [] })),
          warnings: [],
        })),
      ),
      ...timed.map(({ sample, rounds: own }) => ({
        model: `layers in ${sample.type}`,
        test: 'tg16',
        runs: sample.layers.map((layers, at) => ({
          layers: layers.length,
          samplesNanoseconds: own.map((each) => Math.round((each[at] ?? 0) * 16e9)),
        })),
        warnings: [],
      })),
    ],
  };
}

const say = (text: string): void => {
  process.stderr.write(`${new Date().toISOString()} ${text}\n`);
};

/** Share of the processor that other programs may use during a repetition, as for every measurement. */
const OTHERS_TOO_MUCH = 0.1;
const MOST_TRIES = 3;

/** One repetition; NaN where other programs used the processor in every one of some tries. */
async function once(loaded: LoadedModel, test: BenchTest): Promise<number> {
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const window = loaded.processId === null ? null : startTelemetry({ pid: loaded.processId });
    const [time] = await loaded.run({ test, repetitions: 1 });
    const share = window?.stop().otherCpuShare;
    if (share?.known !== true || share.value <= OTHERS_TOO_MUCH) return time ?? Number.NaN;
    say(`other programs used ${(share.value * 100).toFixed(0)} % of the processor`);
  }
  return Number.NaN;
}

/** Types of the matrices of models, and F16, which caches are kept in. */
function typesOf(names: readonly string[]): GgmlTypeName[] {
  const types = new Set<GgmlTypeName>(['F16']);
  for (const name of names) {
    const { shape, mix } = shapeNamed(name);
    for (const { type, dims } of tensorsOf(shape, mix))
      if (dims.length > 1 && type !== 'F32') types.add(type);
  }
  return [...types];
}

/** The median of all rounds, each extrapolated where only some layers were run: a round is one moment of the machine. */
function speedOf({ name, totalLayers, parts, samples }: Subject, test: BenchTest): number {
  const times = samples.get(testName(test));
  if (times === undefined) throw new Error(`${name}: ${testName(test)} was not measured`);
  const layers = parts.map((part) => part.layers);
  const whole = (times[0] ?? []).map((only, round) =>
    parts.length === 1
      ? only
      : fitLayerLine(
          layers,
          times.map((own) => own[round] ?? Number.NaN),
        ).at(totalLayers),
  );
  return ((test.promptTokens + test.generatedTokens) * 1e9) / median(sortSamples(whole));
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
  process.stdout.write(`${session.processor}\n\nThe points, predicted from what was timed singly alone:\n\n`);
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

/** Puts a session behind those before: none is replaced. */
function keep(session: OwnMachineSession): void {
  const before = existsSync(OWN_MACHINE_FILE)
    ? ownMachineSchema.parse(JSON.parse(readFileSync(OWN_MACHINE_FILE, 'utf8'))).sessions
    : [];
  const file = { schemaVersion: 1, sessions: [...before, session] };
  writeFileSync(OWN_MACHINE_FILE, `${JSON.stringify(file, null, 1)}\n`);
}
