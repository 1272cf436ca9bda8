import { readDeviceRecords, readModelRecords } from '../../src/catalog/host/index.ts';
import { effectKeys, type Metric } from '../../src/predict/effects.ts';
import { readPublishedMeasurements } from '../../src/predict/host/index.ts';
import type { PublishedMeasurement } from '../../src/predict/measurement.ts';
import { QueryReader, type PreparedQuery, type QueryError } from '../../src/predict/query.ts';
import { generationTerms, promptTerms } from '../../src/predict/terms.ts';
import type { FitRow } from './problem.ts';

/** A published measurement with all that the fit and its judgement need. */
export interface EvidenceRow {
  readonly measurement: PublishedMeasurement;
  readonly prepared: PreparedQuery;
  readonly metric: Metric;
  readonly cell: string;
  /** As published: two cards of a kind are another device than one. */
  readonly publishedDevice: string;
  /** The device and its chip's other half count as one when devices are left out. */
  readonly chip: string;
  readonly backendKey: string;
  readonly fit: FitRow;
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
    const prepared = reader.prepare(query);
    if ('code' in prepared) {
      unanswered.push(prepared);
      continue;
    }
    const { configuration, metric, promptTokens, context } = prepared;
    const isPrompt = metric === 'prompt';
    rows.push({
      measurement,
      prepared,
      metric,
      cell: `${isPrompt ? 'pp' : 'tg'} ${configuration.depth > 0 ? 'd>0' : 'd0'}`,
      publishedDevice: query.device,
      chip: configuration.device.id.replace(/-(?:cpu|cores)$/, ''),
      backendKey: `${configuration.device.id} ${configuration.backend.family} ${configuration.engine}`,
      fit: {
        roofs: isPrompt ? promptTerms(configuration, promptTokens) : generationTerms(configuration, context),
        effects: effectKeys(configuration, metric, promptTokens),
        logSeconds: Math.log((isPrompt ? promptTokens : 1) / tokensPerSecond),
      },
    });
  }
  return { rows, unanswered };
}
