import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readDeviceRecords, readModelRecords } from '../catalog/host/index.ts';
import { scoreCells, type Scored } from './accuracy.ts';
import { readParameters, readPublishedMeasurements } from './host/index.ts';
import { Predictor } from './index.ts';

/** A macro median error may grow by a tenth before it counts as a regression; `npm run accuracy` holds all regimes. */
const MOST_GROWTH = 1.1;

interface CommittedCell {
  readonly cell: string;
  readonly macroMedianPercent: number;
}

describe('the committed parameters', () => {
  const predictor = new Predictor(readParameters(), {
    devices: readDeviceRecords(),
    models: readModelRecords(),
  });
  const scored: Scored[] = [];
  let asked = 0;
  let answered = 0;
  for (const { query, tokensPerSecond } of readPublishedMeasurements()) {
    asked += 1;
    const answer = predictor.answer(query);
    if ('error' in answer) continue;
    answered += 1;
    if (query.localscoreAverage === true || query.engine !== 'llama.cpp') continue;
    const { tokensPerSecond: predicted, low, high } = answer;
    const cell = `${(query.nPrompt ?? 0) > 0 ? 'pp' : 'tg'} ${(query.nDepth ?? 0) > 0 ? 'd>0' : 'd0'}`;
    scored.push({ device: query.device, cell, predicted, measured: tokensPerSecond, low, high });
  }

  it('predict the published measurements as well as the ledger says, to a tenth', () => {
    const ledger = JSON.parse(
      readFileSync(new URL('../../data/predict/ledger.json', import.meta.url), 'utf8'),
    ) as { readonly regimes: { readonly 'in-sample': { readonly 'llama.cpp': readonly CommittedCell[] } } };
    const committed = ledger.regimes['in-sample']['llama.cpp'];
    const now = scoreCells(scored);
    expect(now.map(({ cell }) => cell)).toEqual(committed.map(({ cell }) => cell));
    for (const [index, { macroMedianPercent }] of now.entries()) {
      expect(macroMedianPercent).toBeLessThanOrEqual(
        (committed[index]?.macroMedianPercent ?? 0) * MOST_GROWTH,
      );
    }
  });

  it('were asked about every published measurement, and answer 98 in 100', () => {
    expect(asked).toBeGreaterThan(15_000);
    expect(answered / asked).toBeGreaterThan(0.98);
  });
});
