import type { BenchTest, LoadedModel } from '../engine/index.ts';
import { mergeTelemetry, type Telemetry } from '../machine/index.ts';
import { median, medianInterval, sortSamples } from '../stats/index.ts';
import { seconds, type Nanoseconds, type Seconds } from '../units/index.ts';

/** How long and how often a point is run. */
export interface Repetitions {
  /** A number runs exactly that many; `adaptive` goes on until the interval is narrow or the time is spent. */
  readonly count: number | 'adaptive';
  /** Time for the timed repetitions of one point, all its files together. */
  readonly budgetSeconds: Seconds;
}

/** What the protocol needs of the machine that it runs on. */
export interface Observer {
  /** Monotonic. */
  now(): Seconds;
  /** Watches a process from now on; null where nothing can be watched. */
  watch(processId: number): { stop(): Telemetry } | null;
}

export interface ProtocolResult {
  readonly samplesNanoseconds: readonly Nanoseconds[];
  readonly warmUpNanoseconds: readonly Nanoseconds[];
  readonly telemetry: Telemetry | null;
}

export interface ProtocolReport {
  /** One for each model, in the order given. */
  readonly results: readonly ProtocolResult[];
  readonly warnings: readonly string[];
}

/** Fewest timed repetitions of an adaptive point: below five a bootstrap of the median means nothing. */
export const MIN_REPETITIONS = 5;
/** Most repetitions of an adaptive point; a noisy machine does not get quiet by being asked again. */
const MAX_REPETITIONS = 50;
/** Half the width of the 95 % interval of the median, relative, at which an adaptive point is done. */
const TARGET_HALF_WIDTH = 0.01;
/** Two warm-up runs in a row this close to each other are steady. */
const STEADY_WITHIN = 0.03;
const MAX_WARM_UPS = 5;
/** Warming up may take this share of the time budget, but two runs are made in any case. */
const WARM_UP_SHARE = 0.5;

/**
 * Runs one test on one or more models: warms each up with full-length runs until two in a row agree, then times them
 * in turn (A B B A ...), so that a machine that drifts while it is measured drifts under all of them alike.
 * @throws EngineFailure as the models do.
 */
export async function runProtocol(
  models: readonly LoadedModel[],
  test: BenchTest,
  repetitions: Repetitions,
  observer: Observer,
  onRepetition: (done: number) => void = () => undefined,
): Promise<ProtocolReport> {
  const warnings: string[] = [];
  const warmUps: Nanoseconds[][] = [];
  for (const model of models) {
    const warmUp = model.warmsUpItself ? [] : await warm(model, test, repetitions, observer);
    if (warmUp.length === MAX_WARM_UPS && !isSteady(warmUp)) {
      warnings.push(`still not steady after ${MAX_WARM_UPS} warm-up runs`);
    }
    warmUps.push(warmUp);
  }
  const samples: Nanoseconds[][] = models.map(() => []);
  const telemetry: (Telemetry | null)[] = models.map(() => null);
  const start = observer.now();
  for (let round = 0; !isDone(samples, repetitions, seconds(observer.now() - start)); round += 1) {
    const order = models.map((_, index) => (round % 2 === 0 ? index : models.length - 1 - index));
    for (const index of order) {
      const model = models[index];
      const own = samples[index];
      if (model === undefined || own === undefined) continue;
      const missing =
        repetitions.count === 'adaptive' ? model.repetitionsPerCall : repetitions.count - own.length;
      const ask = Math.max(1, Math.min(model.repetitionsPerCall, missing));
      const window = model.processId === null ? null : observer.watch(model.processId);
      try {
        own.push(...(await model.run({ test, repetitions: ask })));
      } finally {
        telemetry[index] = merged(telemetry[index] ?? null, window?.stop() ?? null);
      }
    }
    onRepetition(Math.min(...samples.map((own) => own.length)));
  }
  if (repetitions.count === 'adaptive' && !samples.every(isNarrow)) {
    warnings.push(
      `the 95 % interval is wider than ±${TARGET_HALF_WIDTH * 100} %: the machine is noisy or the time was too short`,
    );
  }
  const results = models.map((_, index) => ({
    samplesNanoseconds: samples[index] ?? [],
    warmUpNanoseconds: warmUps[index] ?? [],
    telemetry: telemetry[index] ?? null,
  }));
  return {
    results,
    warnings: [...warnings, ...results.flatMap(({ telemetry }) => telemetryWarnings(telemetry))],
  };
}

function merged(before: Telemetry | null, now: Telemetry | null): Telemetry | null {
  return before === null || now === null ? (before ?? now) : mergeTelemetry(before, now);
}

async function warm(
  model: LoadedModel,
  test: BenchTest,
  repetitions: Repetitions,
  observer: Observer,
): Promise<Nanoseconds[]> {
  const start = observer.now();
  const times: Nanoseconds[] = [];
  while (times.length < MAX_WARM_UPS && !isSteady(times)) {
    const spent = observer.now() - start;
    if (times.length >= 2 && spent > repetitions.budgetSeconds * WARM_UP_SHARE) break;
    // One run that alone takes the whole share has warmed the machine up long enough.
    if (times.length === 1 && spent > repetitions.budgetSeconds) break;
    times.push(...(await model.run({ test, repetitions: 1 })));
  }
  return times;
}

function isSteady(times: readonly Nanoseconds[]): boolean {
  const last = times.at(-1);
  const before = times.at(-2);
  if (last === undefined || before === undefined) return false;
  return Math.abs(last - before) <= STEADY_WITHIN * before;
}

function isDone(samples: readonly Nanoseconds[][], repetitions: Repetitions, spent: Seconds): boolean {
  const fewest = Math.min(...samples.map((own) => own.length));
  if (repetitions.count !== 'adaptive') return fewest >= repetitions.count;
  if (fewest < MIN_REPETITIONS) return false;
  return fewest >= MAX_REPETITIONS || spent >= repetitions.budgetSeconds || samples.every(isNarrow);
}

function isNarrow(samples: readonly Nanoseconds[]): boolean {
  const { low, high } = medianInterval(samples);
  return (high - low) / 2 <= TARGET_HALF_WIDTH * median(sortSamples(samples));
}

/** Share of the machine that others may use before a run is marked. */
const OTHERS_TOO_MUCH = 0.1;

function telemetryWarnings(telemetry: Telemetry | null): string[] {
  if (telemetry === null) return [];
  const warnings: string[] = [];
  const { otherCpuShare, stealShare, majorPageFaults, throttleIncrements } = telemetry;
  const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;
  if (otherCpuShare.known && otherCpuShare.value > OTHERS_TOO_MUCH) {
    warnings.push(`other programs used ${percent(otherCpuShare.value)} of the processor meanwhile`);
  }
  if (stealShare.known && stealShare.value > OTHERS_TOO_MUCH) {
    warnings.push(
      `the hypervisor gave ${percent(stealShare.value)} of the processor to somebody else meanwhile`,
    );
  }
  if (majorPageFaults.known && majorPageFaults.value > 0) {
    warnings.push(
      `the model was paged in from disk while it ran (${majorPageFaults.value} major page faults)`,
    );
  }
  if (throttleIncrements.known) {
    const throttled = Object.entries(throttleIncrements.value).filter(([, increment]) => increment > 0);
    if (throttled.length > 0) warnings.push(`throttled: ${throttled.map(([name]) => name).join(', ')}`);
  }
  return warnings;
}
