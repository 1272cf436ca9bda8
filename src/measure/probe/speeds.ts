import type { Bytes } from '../../units/index.ts';
import type { MeasurementRecord } from '../record.ts';
import { summarise } from '../summary.ts';
import type { MeasuredSpeed } from './roofline.ts';

/** What the roofline must know of a model beyond its speed. */
export interface ModelWork {
  /** Parameters that take part in each token. */
  readonly activeParameters: number;
  /** Bytes of all weights: what a pass over a prompt reads. */
  readonly weightBytes: Bytes;
  /** Bytes of the weights that one generated token reads. */
  readonly activeWeightBytes: Bytes;
}

/** More points than this crowd the picture; the newest stay. */
const MOST_MODELS = 4;

/**
 * Where measured models lie: for each its newest pp and tg at an empty cache, measured in this state of the machine.
 * @param workOf - null for a model of which only the file is known.
 */
export function measuredSpeeds(
  records: readonly MeasurementRecord[],
  stateHash: string,
  workOf: (name: string) => ModelWork | null,
): MeasuredSpeed[] {
  const speeds = new Map<string, MeasuredSpeed>();
  const names = new Set<string>();
  for (const record of records.toReversed()) {
    const { test, model, settings } = record;
    const isPrompt = test.promptTokens > 0 && test.generatedTokens === 0;
    const isGeneration = test.generatedTokens > 0 && test.promptTokens === 0;
    if (record.machine.stateHash !== stateHash || record.outcome !== 'measured') continue;
    if (test.depthTokens > 0 || !(isPrompt || isGeneration)) continue;
    const kind = isPrompt ? 'pp' : 'tg';
    const key = `${model.name} ${kind}`;
    if (speeds.has(key) || (names.size >= MOST_MODELS && !names.has(model.name))) continue;
    const work = workOf(model.name);
    const summary = work === null ? null : summarise(record);
    if (work === null || summary === null) continue;
    names.add(model.name);
    speeds.set(key, {
      name: model.name,
      kind,
      tokensPerSecond: summary.tokensPerSecond.value,
      activeParameters: work.activeParameters,
      weightBytes: isPrompt ? work.weightBytes : work.activeWeightBytes,
      tokensPerPass: isPrompt ? Math.min(test.promptTokens, settings.ubatchTokens) : 1,
    });
  }
  return [...speeds.values()];
}
