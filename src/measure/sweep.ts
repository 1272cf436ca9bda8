import {
  EngineFailure,
  type BenchTest,
  type Engine,
  type EngineDescription,
  type EngineLimits,
  type LoadedModel,
  type ModelSettings,
} from '../engine/index.ts';
import { GgufError } from '../model/index.ts';
import { formatBytes, type Bytes } from '../units/index.ts';
import { LayerPlanError } from './layer-plan.ts';
import { runProtocol, type Observer, type Repetitions } from './protocol.ts';
import { RECORD_SCHEMA_VERSION, type MeasurementRecord, type MeasurementRun } from './record.ts';

export type PointSettings = Omit<ModelSettings, 'modelPath' | 'contextTokens'>;

/** A model file that is ready to be run. */
export interface ModelFile {
  readonly path: string;
  readonly bytes: Bytes;
  /** Full-model indices of the layers in it; null when the file is not one of ours. */
  readonly layers: readonly number[] | null;
}

export interface OpenedModel {
  readonly files: readonly ModelFile[];
  readonly warnings: readonly string[];
  /** Lets go of the files; synthetic ones may then be evicted from their cache. */
  release(): void | Promise<void>;
}

/** A model of a sweep. Its files are made, or looked at, when its first point is due. */
export interface SweepModel {
  readonly facts: MeasurementRecord['model'];
  /** @throws LayerPlanError, GgufError, or an error whose `code` is `no-space`: all are recorded as outcomes. */
  open(signal: AbortSignal): Promise<OpenedModel>;
}

export interface SweepPoint {
  readonly model: SweepModel;
  readonly settings: PointSettings;
  readonly test: BenchTest;
}

export interface Sweep {
  readonly benchmark: { readonly id: string; readonly version: number };
  /** Names everything that decides the results: points, engine, state of the machine. */
  readonly key: string;
  /** This start of it, or the interrupted one that is resumed. */
  readonly run: string;
  readonly points: readonly SweepPoint[];
  /** Indices that an interrupted run has already settled. */
  readonly finished: ReadonlySet<number>;
  readonly repetitions: Repetitions;
  readonly limits: EngineLimits;
}

export type SweepEvent =
  | { readonly kind: 'point-started'; readonly index: number; readonly point: SweepPoint }
  | { readonly kind: 'repetition'; readonly index: number; readonly done: number }
  | { readonly kind: 'point-settled'; readonly index: number; readonly record: MeasurementRecord };

/** What a sweep needs of the world. */
export interface SweepHost {
  readonly engine: Engine;
  readonly description: EngineDescription;
  readonly machine: MeasurementRecord['machine'];
  readonly observer: Observer;
  /** Writes a record where nothing loses it any more. */
  append(record: MeasurementRecord): Promise<void>;
  newId(): string;
  /** RFC 3339, UTC. */
  timestamp(): string;
  /** Memory that a model may take on the engine's device; null is unknown and forbids nothing. */
  availableBytes(): Bytes | null;
  onEvent(event: SweepEvent): void;
}

interface CurrentModel {
  readonly model: SweepModel;
  readonly opened: OpenedModel;
}

/**
 * Runs the points of a sweep that are still missing, each in processes of its own, and appends a record the moment
 * that a point is settled. A failure is a record like any other and the sweep goes on.
 * @returns the records of this call.
 * @throws the signal's reason when it is aborted; everything settled before is in the log.
 */
export async function runSweep(
  sweep: Sweep,
  host: SweepHost,
  signal: AbortSignal,
): Promise<MeasurementRecord[]> {
  const records: MeasurementRecord[] = [];
  let current = null as CurrentModel | null;
  try {
    for (const [index, point] of sweep.points.entries()) {
      if (sweep.finished.has(index)) continue;
      signal.throwIfAborted();
      host.onEvent({ kind: 'point-started', index, point });
      const draft = draftRecord(sweep, host, index, point);
      let record: MeasurementRecord;
      try {
        if (current?.model !== point.model) {
          // One large model at a time: the disk and the memory may not hold two.
          await current?.opened.release();
          current = null;
          current = { model: point.model, opened: await point.model.open(signal) };
        }
        record = await measurePoint(draft, current.opened, sweep, host, point, index, signal);
      } catch (error) {
        signal.throwIfAborted();
        record = failedRecord(draft, error);
      }
      await host.append(record);
      records.push(record);
      host.onEvent({ kind: 'point-settled', index, record });
    }
  } finally {
    await current?.opened.release();
  }
  return records;
}

async function measurePoint(
  draft: MeasurementRecord,
  opened: OpenedModel,
  sweep: Sweep,
  host: SweepHost,
  point: SweepPoint,
  index: number,
  signal: AbortSignal,
): Promise<MeasurementRecord> {
  refuseWhatCannotFit(opened, host);
  const loaded: LoadedModel[] = [];
  try {
    for (const file of opened.files) {
      const settings = { ...point.settings, modelPath: file.path, contextTokens: contextOf(point.test) };
      loaded.push(await host.engine.load(settings, sweep.limits, signal));
    }
    const onRepetition = (done: number): void => host.onEvent({ kind: 'repetition', index, done });
    const report = await runProtocol(loaded, point.test, sweep.repetitions, host.observer, onRepetition);
    const runs = report.results.map((result, run): MeasurementRun => {
      const buffers = loaded[run]?.buffers() ?? null;
      const layers = opened.files[run]?.layers ?? null;
      return {
        layers: layers === null ? null : [...layers],
        samplesNanoseconds: [...result.samplesNanoseconds],
        warmUpNanoseconds: [...result.warmUpNanoseconds],
        buffers: buffers === null ? null : [...buffers],
        telemetry: result.telemetry,
      };
    });
    return {
      ...draft,
      engine: { ...draft.engine, ...loaded.at(-1)?.build },
      model: {
        ...draft.model,
        ...wholeModelFacts(draft, loaded),
        file: opened.files.at(-1)?.path ?? draft.model.file,
      },
      runs,
      warnings: [...opened.warnings, ...report.warnings],
    };
  } finally {
    await Promise.all(loaded.map((model) => model.end()));
  }
}

/** llama-bench's n_ctx for a test. */
const contextOf = (test: BenchTest): number => test.promptTokens + test.generatedTokens + test.depthTokens;

/** Beyond the memory the disk would be measured, not the machine; and a machine that swaps stops answering. */
function refuseWhatCannotFit(opened: OpenedModel, host: SweepHost): void {
  const available = host.availableBytes();
  const needed = opened.files.reduce((sum, file) => sum + file.bytes, 0) as Bytes;
  if (available === null || needed <= available) return;
  throw new EngineFailure(
    'out-of-memory',
    `${opened.files.map((file) => file.path).join(' and ')} needs ${formatBytes(needed)}, and ${formatBytes(available)} of memory are available: close other programs, or choose a smaller model or quantisation.`,
  );
}

/** What the engine says of a whole model; of a sample it would say the wrong size, so the plan's facts stay. */
function wholeModelFacts(
  draft: MeasurementRecord,
  loaded: readonly LoadedModel[],
): Partial<MeasurementRecord['model']> {
  const info = loaded[0]?.info ?? null;
  if (info === null || draft.model.source === 'synthetic') return {};
  return { description: info.description, sizeBytes: info.sizeBytes, parameters: info.parameters };
}

function draftRecord(sweep: Sweep, host: SweepHost, index: number, point: SweepPoint): MeasurementRecord {
  const { devices: _devices, ...engine } = host.description;
  return {
    schemaVersion: RECORD_SCHEMA_VERSION,
    id: host.newId(),
    benchmark: { ...sweep.benchmark },
    sweep: { key: sweep.key, run: sweep.run, index, points: sweep.points.length },
    startedAt: host.timestamp(),
    machine: host.machine,
    engine,
    model: point.model.facts,
    settings: { ...point.settings, contextTokens: contextOf(point.test) },
    test: { ...point.test },
    runs: [],
    warnings: [],
    outcome: 'measured',
    failure: null,
  };
}

/** Turns what went wrong into the outcome of the point; an error of another kind is a bug and is thrown on. */
function failedRecord(draft: MeasurementRecord, error: unknown): MeasurementRecord {
  const failure = asFailure(error);
  return {
    ...draft,
    outcome: failure.kind,
    failure: { sentence: failure.message, ...failure.details },
  };
}

function asFailure(error: unknown): EngineFailure {
  if (error instanceof EngineFailure) return error;
  if (error instanceof LayerPlanError) return new EngineFailure(error.kind, error.message);
  if (error instanceof GgufError) return new EngineFailure('load-failed', error.message);
  if (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    FILE_ERRORS.has(error.code)
  ) {
    return new EngineFailure('load-failed', error.message);
  }
  throw error;
}

/** Codes of the model room's ModelFileError, whose class lies behind its host face. */
const FILE_ERRORS: ReadonlySet<string> = new Set(['no-space', 'cache-limit', 'not-writable']);
