import type { MeasurementRecord, MeasurementRun } from './record.ts';

/** A run of some of a model's layers: how many, and the time of each repetition. */
export interface SampledRun {
  readonly layers: number;
  readonly samplesNanoseconds: readonly number[];
}

/** How a record is to be read: from one run of the whole model, or from runs of some layers, or not at all. */
export type Reading =
  | { readonly method: 'direct'; readonly samplesNanoseconds: readonly number[] }
  | { readonly method: 'extrapolated'; readonly runs: readonly SampledRun[]; readonly totalLayers: number }
  | { readonly method: 'none'; readonly reason: string };

const none = (reason: string): Reading => ({ method: 'none', reason });

/** Decides how a record is read; everything that no number can be made of ends in a reason. */
export function readingOf(record: MeasurementRecord): Reading {
  if (record.outcome !== 'measured')
    return none(record.failure?.sentence ?? `the point ended in ${record.outcome}`);
  if (record.runs.length === 0) return none('the record holds no run');
  if (record.runs.some((run) => run.samplesNanoseconds.length === 0)) {
    return none('a run of the record holds no repetition');
  }
  if (record.runs.some((run) => run.samplesNanoseconds.some((sample) => sample <= 0))) {
    return none('a repetition took no time, which cannot be');
  }
  const total = record.model.layers;
  const whole = record.runs.find((run) => isWhole(run, total));
  if (whole !== undefined) return { method: 'direct', samplesNanoseconds: whole.samplesNanoseconds };
  if (total === null) return none('the record does not say how many layers the whole model has');
  const runs = record.runs
    .map((run) => ({ layers: run.layers?.length ?? 0, samplesNanoseconds: run.samplesNanoseconds }))
    .toSorted((a, b) => a.layers - b.layers);
  if (new Set(runs.map((run) => run.layers)).size < 2) {
    return none('a cost per layer needs runs with two different numbers of layers');
  }
  return { method: 'extrapolated', runs, totalLayers: total };
}

function isWhole(run: MeasurementRun, totalLayers: number | null): boolean {
  return run.layers === null || run.layers.length === totalLayers;
}

/** The straight line through the times of runs with different numbers of layers. */
export interface LayerLine {
  readonly perLayer: number;
  /** What the model costs besides its layers: embeddings, output head, the call itself. */
  readonly besidesLayers: number;
  at(layers: number): number;
}

/** Least squares; through two points it is the line through both. At least two of `layers` must differ. */
export function fitLayerLine(layers: readonly number[], times: readonly number[]): LayerLine {
  const centre = layers.reduce((sum, count) => sum + count, 0) / layers.length;
  const meanTime = times.reduce((sum, time) => sum + time, 0) / times.length;
  const spread = layers.reduce((sum, count) => sum + (count - centre) ** 2, 0);
  const covariance = layers.reduce(
    (sum, count, index) => sum + (count - centre) * ((times[index] ?? meanTime) - meanTime),
    0,
  );
  const perLayer = covariance / spread;
  const at = (count: number): number => meanTime + (count - centre) * perLayer;
  return { perLayer, besidesLayers: at(0), at };
}

/** Time of the whole model for every repetition, from the samples of equal index; the shortest list ends it. */
export function extrapolateByIndex(runs: readonly SampledRun[], totalLayers: number): number[] {
  const repetitions = Math.min(...runs.map((run) => run.samplesNanoseconds.length));
  const layers = runs.map((run) => run.layers);
  return Array.from({ length: repetitions }, (_, index) =>
    fitLayerLine(
      layers,
      runs.map((run) => run.samplesNanoseconds[index] ?? Number.NaN),
    ).at(totalLayers),
  );
}
