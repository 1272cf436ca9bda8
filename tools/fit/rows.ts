import { readDeviceRecords, readModelRecords } from '../../src/catalog/host/index.ts';
import { effectKeys, type Metric } from '../../src/predict/effects.ts';
import { readPublishedMeasurements } from '../../src/predict/host/index.ts';
import { intervalCell, type IntervalCell } from '../../src/predict/intervals.ts';
import type { PublishedMeasurement } from '../../src/predict/measurement.ts';
import { QueryReader, type PreparedQuery, type QueryError } from '../../src/predict/query.ts';
import { generationTerms, promptTerms } from '../../src/predict/terms.ts';
import type { FitRow } from './problem.ts';

/** A published measurement with all that the fit and its judgement need. */
export interface EvidenceRow {
  readonly measurement: PublishedMeasurement;
  /** As it is asked. */
  readonly prepared: PreparedQuery;
  readonly metric: Metric;
  readonly cell: string;
  readonly intervalCell: IntervalCell;
  /** As published: two cards of a kind are another device than one. */
  readonly publishedDevice: string;
  /** The device and its chip's other half count as one when devices are left out. */
  readonly chip: string;
  readonly backendKey: string;
  readonly fit: FitRow;
  /** The same as it is asked: whether rocBLAS used hipBLASLt is known of the measurement, and no query says it. */
  readonly asked: FitRow;
}

export interface Evidence {
  readonly rows: readonly EvidenceRow[];
  /** Measurements that cannot be predicted, by what is missing. */
  readonly unanswered: readonly QueryError[];
}

/** Reads all published measurements and resolves them. */
export function readEvidence(): Evidence {
  const reader = new QueryReader(readDeviceRecords(), readModelRecords());
  const rows: EvidenceRow[] = [];
  const unanswered: QueryError[] = [];
  for (const measurement of readPublishedMeasurements()) {
    const { query, tokensPerSecond } = measurement;
    const measured = reader.prepare(query);
    if ('code' in measured) {
      unanswered.push(measured);
      continue;
    }
    const { backend } = measured.configuration;
    const prepared =
      backend.hipBlasLt === null
        ? measured
        : {
            ...measured,
            configuration: { ...measured.configuration, backend: { ...backend, hipBlasLt: null } },
          };
    const { configuration, metric } = prepared;
    const fit = fitRow(measured, tokensPerSecond);
    rows.push({
      measurement,
      prepared,
      metric,
      cell: `${metric === 'prompt' ? 'pp' : 'tg'} ${configuration.depth > 0 ? 'd>0' : 'd0'}`,
      intervalCell: intervalCell(
        metric,
        configuration.depth,
        Math.min(prepared.promptTokens, configuration.ubatch),
      ),
      publishedDevice: query.device,
      chip: configuration.device.id.replace(/-(?:cpu|cores)$/, ''),
      backendKey: `${configuration.device.id} ${configuration.backend.family} ${configuration.engine}`,
      fit,
      asked: prepared === measured ? fit : fitRow(prepared, tokensPerSecond),
    });
  }
  return { rows, unanswered };
}

function fitRow({ configuration, metric, promptTokens, context }: PreparedQuery, speed: number): FitRow {
  const isPrompt = metric === 'prompt';
  return {
    roofs: isPrompt ? promptTerms(configuration, promptTokens) : generationTerms(configuration, context),
    effects: effectKeys(configuration, metric, promptTokens),
    logSeconds: Math.log((isPrompt ? promptTokens : 1) / speed),
  };
}
