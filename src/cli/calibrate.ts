import { summarise, type MeasurementRecord } from '../measure/index.ts';
import { calibrate, type CalibrationPoint, type PredictedTest } from '../predict/index.ts';
import { writeCalibration } from '../predict/host/index.ts';
import { formatSignificant } from '../units/index.ts';
import { openLog } from './bench-host.ts';
import type { BenchOptions } from './bench-options.ts';
import type { CalibrateFlags } from './prediction-options.ts';
import { calibrationPath, type CliContext } from './context.ts';
import { CommandFailure, type ExitCode } from './exit.ts';
import { printDocument, printTable } from './output.ts';
import { openModel, openPredictor, openTarget, type Target } from './prediction-target.ts';

/** The three points: a dense model, a mixture of experts, and the dense one with tokens in its cache. */
const DENSE_MODEL = 'llama-3.2-3b:Q4_K_M';
const EXPERT_MODEL = 'qwen3-30b-a3b:Q4_K_M';
const DEPTH_TOKENS = 4096;
const PROMPT_TOKENS = 512;
const GENERATED_TOKENS = 32;

const SWEEP = {
  promptTokens: [PROMPT_TOKENS],
  generatedTokens: [GENERATED_TOKENS],
  promptAndGeneration: [],
  batchTokens: [2048],
  ubatchTokens: [512],
  cacheTypeK: ['f16'],
  cacheTypeV: ['f16'],
  threads: null,
  gpuLayers: [-1],
  cpuMoeLayers: [0],
  flashAttention: ['auto'],
  repetitions: null,
  output: null,
  outputError: null,
  layers: { kind: 'auto' },
  fresh: false,
  retryFailed: true,
  timeout: null,
  json: false,
} as const satisfies Partial<BenchOptions>;

/** Measures three points, or takes what was measured, and keeps what they teach about this machine. */
export async function runCalibrate(flags: CalibrateFlags, context: CliContext): Promise<ExitCode> {
  if (flags.fromRecords !== true) await measurePoints(flags, context);
  const { records } = await openLog(context).readAll();
  const measured = newestOfEach(records.filter(({ outcome }) => outcome === 'measured'));
  const backends = new Set(measured.map((record) => backendOf(record)));
  const wanted = flags.backend ?? backendOf(measured.at(-1)) ?? 'cpu';
  if (!backends.has(wanted)) {
    throw new CommandFailure(
      `Nothing was measured here with ${wanted}; run ridgepoint calibrate without --from-records.`,
    );
  }
  const target = await openTarget(flags.machine, wanted);
  const predictor = openPredictor(context, []);
  const points: Record<'generation' | 'prompt', CalibrationPoint[]> = { generation: [], prompt: [] };
  const lessons: Lesson[] = [];
  for (const record of measured.filter((each) => backendOf(each) === wanted)) {
    const lesson = await lessonOf(record, target, context, predictor);
    if (lesson === null) continue;
    points[lesson.test.metric].push(lesson.point);
    lessons.push(lesson);
  }
  if (lessons.length === 0) {
    throw new CommandFailure(
      'None of the records is of a model of the catalogue; run ridgepoint calibrate without --from-records.',
    );
  }
  const calibration = {
    deviceId: target.device.id,
    backend: target.backend.exact,
    measuredAt: new Date().toISOString(),
    points: lessons.length,
    generation: [...calibrate('generation', points.generation)],
    prompt: [...calibrate('prompt', points.prompt)],
  };
  const file = calibrationPath(context.paths);
  await writeCalibration(file, calibration);
  if (flags.json === true) {
    printDocument(context, 'calibration', { calibration, file });
    return 0;
  }
  printTable(
    context,
    [
      { title: 'model' },
      { title: 'test' },
      { title: 'measured', align: 'right' },
      { title: 'predicted before', align: 'right' },
    ],
    lessons.map(({ name, test, depth, measuredSpeed, predictedSpeed }) => [
      name,
      `${test.metric === 'prompt' ? 'pp' : 'tg'}${depth === 0 ? '' : ` at depth ${depth}`}`,
      formatSignificant(measuredSpeed),
      formatSignificant(predictedSpeed),
    ]),
  );
  context.stdout(
    `\nPredictions for ${target.device.id} with ${target.backend.exact} are calibrated from now on (${file}).`,
  );
  return 0;
}

async function measurePoints(flags: CalibrateFlags, context: CliContext): Promise<void> {
  const { runBench } = await import('./bench.ts');
  const options = { ...SWEEP, engine: flags.engine, backend: flags.backend ?? null };
  // The tables of the sweeps are progress here, not the result.
  const quiet: CliContext = { ...context, stdout: () => undefined };
  const failed =
    (await runBench([DENSE_MODEL, EXPERT_MODEL], { ...options, depthTokens: [0] }, quiet)) +
    (await runBench([DENSE_MODEL], { ...options, depthTokens: [DEPTH_TOKENS] }, quiet));
  if (failed > 0) context.stderr('warning: some points could not be measured; the others are used.');
}

/** Of several records of one test the last: the machine as it is now. */
function newestOfEach(records: readonly MeasurementRecord[]): readonly MeasurementRecord[] {
  const byTest = new Map<string, MeasurementRecord>();
  for (const record of records) {
    byTest.set(
      JSON.stringify([record.model.name, record.test, record.settings, record.engine.backends]),
      record,
    );
  }
  return [...byTest.values()];
}

function backendOf(record: MeasurementRecord | undefined): string | null {
  const first = record?.engine.backends.split(/[,+ ]/)[0]?.toLowerCase();
  return first === undefined || first === '' ? null : first;
}

interface Lesson {
  readonly name: string;
  readonly test: PredictedTest;
  readonly depth: number;
  readonly point: CalibrationPoint;
  readonly measuredSpeed: number;
  readonly predictedSpeed: number;
}

async function lessonOf(
  record: MeasurementRecord,
  target: Target,
  context: CliContext,
  predictor: ReturnType<typeof openPredictor>,
): Promise<Lesson | null> {
  const { promptTokens, generatedTokens, depthTokens } = record.test;
  const summary = summarise(record);
  if (summary === null || promptTokens > 0 === generatedTokens > 0) return null;
  const model = await openModel(record.model.name, context).catch(() => null);
  if (model === null) return null;
  const configuration = model.configurationOn(target, {
    depth: depthTokens,
    ubatch: record.settings.ubatchTokens,
    flashAttention:
      record.settings.flashAttention === 'auto' ? null : record.settings.flashAttention === 'on',
    cacheType: record.settings.cacheTypeK,
  });
  const test: PredictedTest =
    promptTokens > 0
      ? { metric: 'prompt', tokens: promptTokens }
      : { metric: 'generation', context: depthTokens + generatedTokens / 2 };
  const time = summary.secondsPerRepetition.value / (promptTokens > 0 ? 1 : generatedTokens);
  return {
    name: record.model.name,
    test,
    depth: depthTokens,
    point: { ...predictor.uncalibrated(configuration, test), logSeconds: Math.log(time) },
    measuredSpeed: (promptTokens > 0 ? promptTokens : 1) / time,
    predictedSpeed: predictor.predict(configuration, test, model.id).tokensPerSecond,
  };
}
