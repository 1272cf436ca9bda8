import { summarise, type MeasurementRecord } from '../measure/index.ts';
import {
  calibrate,
  type Calibration,
  type CalibrationPoint,
  type PredictedTest,
  type Predictor,
} from '../predict/index.ts';
import type { PredictedModel } from './prediction-model.ts';
import type { Target } from './prediction-target.ts';
import { backendOf } from './recorded-backend.ts';

/** A measurement beside what was predicted for it without any. */
export interface Lesson {
  readonly name: string;
  readonly test: PredictedTest;
  readonly depth: number;
  readonly point: CalibrationPoint;
  readonly measuredSpeed: number;
  readonly predictedSpeed: number;
}

/** What a record teaches about the target; null: it has no number, or it times prompt and generation together. */
export function lessonOf(
  record: MeasurementRecord,
  model: PredictedModel,
  target: Target,
  predictor: Predictor,
): Lesson | null {
  const { promptTokens, generatedTokens, depthTokens } = record.test;
  const summary = summarise(record);
  if (summary === null || promptTokens > 0 === generatedTokens > 0) return null;
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
    point: { configuration, ...predictor.uncalibrated(configuration, test), logSeconds: Math.log(time) },
    measuredSpeed: (promptTokens > 0 ? promptTokens : 1) / time,
    predictedSpeed: predictor.predict(configuration, test, model.id).tokensPerSecond,
  };
}

/** What all lessons together teach. */
export function calibrationFrom(lessons: readonly Lesson[], target: Target, measuredAt: string): Calibration {
  const shiftsOf = (metric: PredictedTest['metric']): Calibration['generation'] =>
    calibrate(
      metric,
      lessons.filter(({ test }) => test.metric === metric).map(({ point }) => point),
    );
  return {
    deviceId: target.device.id,
    backend: target.backend.exact,
    measuredAt,
    points: lessons.length,
    generation: shiftsOf('generation'),
    prompt: shiftsOf('prompt'),
  };
}

/**
 * The records that say how this machine runs a model as a whole: measured with a backend, on this processor and these
 * GPUs, everything where the backend computes, with the usual number of threads. Of several of one test the last.
 */
export function lessonRecords(
  records: readonly MeasurementRecord[],
  here: {
    readonly machine: Pick<MeasurementRecord['machine'], 'cpu' | 'gpus'>;
    readonly backend: string;
    readonly threads: number;
  },
): readonly MeasurementRecord[] {
  const byTest = new Map<string, MeasurementRecord>();
  for (const record of records) {
    const { outcome, machine, settings } = record;
    const isHere = machine.cpu === here.machine.cpu && machine.gpus.join() === here.machine.gpus.join();
    const isWhole = settings.gpuLayers < 0 && settings.cpuMoeLayers === 0;
    const isUsual = here.backend !== 'cpu' || settings.threads === here.threads;
    if (outcome !== 'measured' || !isHere || !isWhole || !isUsual) continue;
    if (backendOf(record.engine.backends) !== here.backend) continue;
    byTest.set(JSON.stringify([record.model.name, record.test, settings]), record);
  }
  return [...byTest.values()];
}
