import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { hashState } from '../machine/host/index.ts';
import { stateDifferences, valueOf } from '../machine/index.ts';
import {
  runSweep,
  sweepPoints,
  type MeasurementRecord,
  type PointSettings,
  type Sweep,
  type SweepGrid,
  type SweepModel,
  type SweepPoint,
} from '../measure/index.ts';
import { renderLlamaBench, renderRecordTable, testName, type LlamaBenchFormat } from '../report/index.ts';
import { sweepProgress, type SweepProgress } from '../store/index.ts';
import type { OpenRuns } from '../store/host/index.ts';
import { seconds } from '../units/index.ts';
import { chooseEngine, weightMemory } from './bench-engine.ts';
import { openBenchRuns, openLog, readMachine, sweepHost, type Machine } from './bench-host.ts';
import { architecturesOf, shortName, sweepModel } from './bench-models.ts';
import type { BenchOptions } from './bench-options.ts';
import { startPointProgress } from './bench-progress.ts';
import type { CliContext } from './context.ts';
import type { ExitCode } from './exit.ts';
import { printDocument } from './output.ts';

const BENCHMARK = { id: 'ridgepoint.bench', version: 1 } as const;
/** Timed repetitions of one point, unless their number is given. */
const POINT_BUDGET = seconds(20);
/** Reading a model of hundreds of gigabytes from a slow disk. */
const LOAD_MILLISECONDS = 30 * 60_000;
/** A repetition with its depth: a long prompt on a slow CPU takes many minutes, a hung GPU for ever. */
const REPETITION_SECONDS = seconds(1800);

/** Measures every point of the grid that the options span, or goes on with an interrupted run of the same. */
export async function runBench(
  names: readonly string[],
  options: BenchOptions,
  context: CliContext,
): Promise<ExitCode> {
  const chosen = await chooseEngine(options.engine, options.backend, context);
  const machine = await readMachine(chosen);
  const modelOptions = {
    layers: layerChoice(options),
    lastLevelCacheBytes: valueOf(machine.facts.cpu.l3TotalBytes) ?? null,
    memoryBytes: () => weightMemory(chosen),
    knowsArchitecture: architecturesOf(chosen.embedded !== null),
  };
  const models: SweepModel[] = [];
  for (const name of names) models.push(await sweepModel(name, modelOptions, context));
  const points = sweepPoints(gridOf(models, options, machine));
  const log = openLog(context);
  const key = sweepKey(points, options, machine);
  const { records: earlier } = await log.readAll();
  const openRuns = openBenchRuns(context);
  const newest = options.fresh ? null : sweepProgress(earlier, key);
  const resumed = newest !== null && goesOn(newest, options, openRuns) ? newest : null;
  const kept = [...(resumed?.finished ?? [])].filter(
    ([, record]) => record.outcome === 'measured' || !options.retryFailed,
  );
  tellWhatIsKept(kept.length, points.length, earlier, machine, points, context);
  const sweep: Sweep = {
    benchmark: BENCHMARK,
    key,
    run: resumed?.run ?? randomUUID(),
    points,
    finished: new Set(kept.map(([index]) => index)),
    repetitions: { count: options.repetitions ?? 'adaptive', budgetSeconds: POINT_BUDGET },
    limits: {
      // llama-bench loads and runs in one call: a limit on the run alone would let a hung one live for the load's.
      loadMilliseconds: options.timeout === null ? LOAD_MILLISECONDS : options.timeout * 1000,
      repetitionMilliseconds: (options.timeout ?? REPETITION_SECONDS) * 1000,
    },
  };
  await openRuns.begin(sweep.run);
  const progress = startPointProgress(points.length, kept.length, context);
  const settled: MeasurementRecord[] = kept.map(([, record]) => record);
  try {
    const host = sweepHost(chosen, machine, log, (event) => {
      progress.update(event);
      if (event.kind !== 'point-settled') return;
      settled.push(event.record);
      if (event.record.failure !== null) {
        context.stderr(
          `${pointName(points[event.index])}: ${event.record.outcome}: ${event.record.failure.sentence}`,
        );
      }
    });
    await runSweep(sweep, host, context.signal);
  } catch (error) {
    progress.stop();
    if (context.signal.aborted) {
      print(settled, options, context);
      context.stderr(
        `Stopped; ${settled.length} of ${points.length} points are kept. The same command goes on from here; --fresh starts over.`,
      );
    }
    throw error;
  } finally {
    progress.stop();
  }
  settled.sort((a, b) => a.sweep.index - b.sweep.index);
  print(settled, options, context);
  await openRuns.end(sweep.run);
  const failed = settled.filter((record) => record.outcome !== 'measured').length;
  if (failed === 0) return 0;
  context.stderr(
    `${failed} of ${points.length} points failed; the records say how (ridgepoint results --json).`,
  );
  return 1;
}

function gridOf(models: readonly SweepModel[], options: BenchOptions, machine: Machine): SweepGrid {
  const settings: { readonly [Key in keyof PointSettings]: readonly PointSettings[Key][] } = {
    gpuLayers: options.gpuLayers,
    cpuMoeLayers: options.cpuMoeLayers,
    batchTokens: options.batchTokens,
    ubatchTokens: options.ubatchTokens,
    cacheTypeK: options.cacheTypeK,
    cacheTypeV: options.cacheTypeV,
    flashAttention: options.flashAttention,
    threads: options.threads ?? [machine.threads],
  };
  return {
    models,
    promptTokens: options.promptTokens,
    generatedTokens: options.generatedTokens,
    promptAndGenerated: options.promptAndGeneration.map(
      ({ promptTokens, generatedTokens }) => [promptTokens, generatedTokens] as const,
    ),
    depthTokens: options.depthTokens,
    settings,
  };
}

const layerChoice = ({ layers }: BenchOptions): 'auto' | 'all' | readonly number[] =>
  layers.kind === 'counts' ? layers.counts : layers.kind;

/** A complete run that was printed is over, unless its failures are to be measured again. */
function goesOn(newest: SweepProgress, options: BenchOptions, openRuns: OpenRuns): boolean {
  if (!newest.complete || openRuns.has(newest.run)) return true;
  return options.retryFailed && [...newest.finished.values()].some(({ outcome }) => outcome !== 'measured');
}

/** A digest of everything that decides the results; the same points in another state are another sweep. */
function sweepKey(points: readonly SweepPoint[], options: BenchOptions, machine: Machine): string {
  return hashState({
    benchmark: `${BENCHMARK.id}/${BENCHMARK.version}`,
    machine: machine.recorded.stateHash,
    points: settingsDigest(points),
    repetitions: String(options.repetitions ?? 'adaptive'),
    layers: JSON.stringify(options.layers),
  });
}

/** The same points, whatever the machine's state. */
const settingsDigest = (points: readonly SweepPoint[]): string =>
  JSON.stringify(
    points.map(({ model, settings, test }) => [
      model.facts.shapeHash ?? [model.facts.name, fileVersion(model.facts.file)],
      settings,
      test,
    ]),
  );

/** Size and time of a file: another file of the same name is another model. */
function fileVersion(file: string): string {
  const stats = statSync(file, { throwIfNoEntry: false });
  return stats === undefined ? 'missing' : `${stats.size} ${stats.mtimeMs}`;
}

/** Says what is not measured again, or why an interrupted sweep cannot be resumed: the machine has changed since. */
function tellWhatIsKept(
  kept: number,
  total: number,
  earlier: readonly MeasurementRecord[],
  machine: Machine,
  points: readonly SweepPoint[],
  context: CliContext,
): void {
  if (kept > 0) {
    context.stderr(
      `Going on with an interrupted sweep: ${kept} of ${total} points are done (--fresh starts over).`,
    );
    return;
  }
  const last = earlier.at(-1);
  const sameModels = points.some(({ model }) => model.facts.name === last?.model.name);
  if (last === undefined || !sameModels || last.machine.stateHash === machine.recorded.stateHash) return;
  const changes = stateDifferences(last.machine.state, machine.recorded.state);
  context.stderr(
    `The machine has changed since the last measurement, so this is a new series: ${changes.join('; ')}.`,
  );
}

const pointName = (point: SweepPoint | undefined): string =>
  point === undefined ? '' : `${shortName(point.model.facts.name)} ${testName(point.test)}`;

function print(records: readonly MeasurementRecord[], options: BenchOptions, context: CliContext): void {
  const render = (format: LlamaBenchFormat): string => renderLlamaBench(records, format);
  if (options.outputError !== null) context.stderr(render(options.outputError));
  if (options.json) printDocument(context, 'bench', { records });
  else if (options.output === null) context.stdout(renderRecordTable(records));
  else context.stdout(render(options.output));
}
