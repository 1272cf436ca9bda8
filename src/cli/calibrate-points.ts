import { randomUUID } from 'node:crypto';
import { hashState } from '../machine/host/index.ts';
import { valueOf } from '../machine/index.ts';
import {
  runSweep,
  sweepPoints,
  usualSettings,
  type MeasurementRecord,
  type SweepModel,
  type SweepPoint,
} from '../measure/index.ts';
import { testName } from '../report/index.ts';
import { sweepProgress } from '../store/index.ts';
import { seconds, type Seconds } from '../units/index.ts';
import { weightMemory, type ChosenEngine } from './bench-engine.ts';
import { openLog, sweepHost, type Machine } from './bench-host.ts';
import { architecturesOf, sweepModel } from './bench-models.ts';
import { startPointProgress } from './bench-progress.ts';
import type { CliContext } from './context.ts';

const BENCHMARK = { id: 'ridgepoint.calibrate', version: 1 } as const;
/** The three points: a dense model, a mixture of experts, and the dense one with tokens in its cache. */
export const DENSE_MODEL = 'llama-3.2-3b:Q4_K_M';
export const EXPERT_MODEL = 'qwen3-30b-a3b:Q4_K_M';
const GENERATED_TOKENS = 32;
/** Timed repetitions of one point; five are made in any case. */
const POINT_BUDGET = seconds(12);
const LIMITS = { loadMilliseconds: 10 * 60_000, repetitionMilliseconds: 15 * 60_000 } as const;
/** Longest first. A shorter prompt says less of long ones, but a slow machine is not to be kept busy for an hour. */
const SHORTEST_PROMPT = 128;
const PROMPTS = [512, 256, SHORTEST_PROMPT] as const;
const LEAST_DEPTH = 1024;
const DEPTHS = [4096, 2048, LEAST_DEPTH] as const;
/** What one repetition, and filling the cache once, may take of the whole model; samples of its layers take half. */
const LONGEST_PROMPT = seconds(20);
const LONGEST_FILL = seconds(90);

/** Lengths that suit a machine. */
export interface CalibrationPlan {
  readonly promptTokens: number;
  readonly depthTokens: number;
}

/** Chooses lengths by what is predicted for the dense model before anything is measured. */
export function planCalibration(promptSeconds: (tokens: number) => Seconds): CalibrationPlan {
  return {
    promptTokens: PROMPTS.find((tokens) => promptSeconds(tokens) <= LONGEST_PROMPT) ?? SHORTEST_PROMPT,
    depthTokens: DEPTHS.find((tokens) => promptSeconds(tokens) <= LONGEST_FILL) ?? LEAST_DEPTH,
  };
}

/**
 * Measures the points, or those of them that an interrupted calibration lacks.
 * @param between - done after every measured point, while nothing else runs.
 * @throws the signal's reason when it is aborted; what was measured before is kept.
 */
export async function measurePoints(
  plan: CalibrationPlan,
  chosen: ChosenEngine,
  machine: Machine,
  context: CliContext,
  between: () => Promise<void> = async () => undefined,
): Promise<readonly MeasurementRecord[]> {
  const log = openLog(context);
  const points = await calibrationPoints(plan, chosen, machine, context);
  const key = hashState({
    benchmark: `${BENCHMARK.id}/${BENCHMARK.version}`,
    machine: machine.recorded.stateHash,
    points: JSON.stringify(
      points.map(({ model, settings, test }) => [model.facts.shapeHash, settings, test]),
    ),
  });
  const newest = sweepProgress((await log.readAll()).records, key);
  const resumed = newest === null || newest.complete ? null : newest;
  const finished = resumed?.finished ?? new Map<number, MeasurementRecord>();
  if (finished.size > 0) {
    context.stderr(
      `Going on with an interrupted calibration: ${finished.size} of ${points.length} points are done.`,
    );
  }
  const progress = startPointProgress(points.length, finished.size, context);
  const host = sweepHost(chosen, machine, log, (event) => {
    progress.update(event);
    if (event.kind === 'point-started' && !context.isTerminal) {
      const { model, test } = event.point;
      context.stderr(
        `Measuring ${event.index + 1} of ${points.length}: ${model.facts.name}, ${testName(test)} ...`,
      );
    }
    if (event.kind === 'point-settled' && event.record.failure !== null) {
      context.stderr(`warning: ${event.record.outcome}: ${event.record.failure.sentence}`);
    }
  });
  const sweep = {
    benchmark: BENCHMARK,
    key,
    run: resumed?.run ?? randomUUID(),
    points,
    finished: new Set(finished.keys()),
    repetitions: { count: 'adaptive', budgetSeconds: POINT_BUDGET },
    limits: LIMITS,
  } as const;
  const append: typeof host.append = async (record) => {
    await host.append(record);
    await between();
  };
  try {
    return [...finished.values(), ...(await runSweep(sweep, { ...host, append }, context.signal))];
  } finally {
    progress.stop();
  }
}

async function calibrationPoints(
  { promptTokens, depthTokens }: CalibrationPlan,
  chosen: ChosenEngine,
  machine: Machine,
  context: CliContext,
): Promise<SweepPoint[]> {
  const options = {
    layers: 'auto',
    lastLevelCacheBytes: valueOf(machine.facts.cpu.l3TotalBytes) ?? null,
    memoryBytes: () => weightMemory(chosen),
    knowsArchitecture: architecturesOf(chosen.embedded !== null),
  } as const;
  const settings = usualSettings(machine.threads);
  const of = (model: SweepModel, depths: readonly number[]): SweepPoint[] =>
    sweepPoints({
      models: [model],
      settings,
      promptTokens: [promptTokens],
      generatedTokens: [GENERATED_TOKENS],
      promptAndGenerated: [],
      depthTokens: depths,
    });
  return [
    ...of(await sweepModel(DENSE_MODEL, options, context), [0, depthTokens]),
    ...of(await sweepModel(EXPERT_MODEL, options, context), [0]),
  ];
}
