import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { ledgerSchema, slipsOf } from './ledger.ts';
import { scoreCells, type Scored } from '../../src/predict/accuracy.ts';
import { driftOf, type Drift } from '../../src/predict/age.ts';
import { halfWidth, intervalEngine, type Novelty } from '../../src/predict/intervals.ts';
import type { Metric } from '../../src/predict/effects.ts';
import type { Age, Interval, Parameters } from '../../src/predict/parameters.ts';
import { learnAges, outsiders, seenOf, splitInTime, type Outsider } from './ages.ts';
import { conformalIntervals } from './conformal.ts';
import { roofSeconds } from '../../src/predict/situation.ts';
import type { Problem } from './problem.ts';
import { deviceKind, isLater, modelKind, Regimes, type Regime, type Residuals } from './regimes.ts';
import { readEvidence, type EvidenceRow } from './rows.ts';

const PARAMETERS_FILE = new URL('../../data/predict/parameters.json', import.meta.url);
const LEDGER_FILE = new URL('../../data/predict/ledger.json', import.meta.url);

/** Effects smaller than this change no prediction by more than a thousandth, and are not kept. */
const SMALLEST_EFFECT = 1e-3;
const EFFECT_DIGITS = 1e4;

function exportEffects(problem: Problem, at: Float64Array): Parameters['effects'][Metric] {
  const effects: Record<string, Record<string, Record<string, number>>> = {};
  for (const [index, { group, aspect, scope }] of problem.keys.entries()) {
    const value = Math.round((at[index] ?? 0) * (problem.sigmas[index] ?? 0) * EFFECT_DIGITS) / EFFECT_DIGITS;
    if (Math.abs(value) < SMALLEST_EFFECT) continue;
    const byAspect = (effects[group] ??= {});
    (byAspect[aspect] ??= {})[scope] = value;
  }
  return effects;
}

/** Of what comes later every row has a novelty of its own. */
const REGIME_NOVELTY: Readonly<Record<Exclude<Regime, 'time'>, Novelty>> = {
  'in-sample': 'known',
  configuration: 'known',
  a: 'new-device',
  b: 'new-model',
  c: 'calibrated',
};
const NO_DRIFT: Drift = { down: 0, up: 0 };

function scoredRows(
  residuals: Residuals,
  intervals: readonly Interval[],
  ages: readonly Age[],
  regime: Regime,
): Scored[] {
  return [...residuals].map(([row, residual]) => {
    const measured = row.measurement.tokensPerSecond;
    const later = regime === 'time' ? laterRows.get(row) : undefined;
    const predicted = measured * Math.exp(-residual);
    const tokens = Math.max(1, row.prepared.promptTokens);
    const roof = tokens / roofSeconds(row.metric, row.fit.roofs);
    const half = halfWidth(
      { intervals: [...intervals] },
      row.intervalCell,
      intervalEngine(row.prepared.configuration.engine),
      later?.novelty ?? (regime === 'time' ? 'known' : REGIME_NOVELTY[regime]),
      80,
    );
    const drift = later === undefined ? NO_DRIFT : driftOf([...ages], row.cell, later.days, 80);
    return {
      device: row.publishedDevice,
      cell: row.cell,
      predicted,
      measured,
      low: half === null ? null : predicted * Math.exp(-Math.hypot(half, drift.down)),
      // As answers have it: nothing above the roof is believed, so that a row above it lies outside.
      high: half === null ? null : Math.min(roof, predicted * Math.exp(Math.hypot(half, drift.up))),
    };
  });
}

const log = (text: string): void => void process.stderr.write(`${text}\n`);
const { rows, unanswered } = readEvidence();
log(`${rows.length} rows, ${unanswered.length} without an answer`);

const residuals: Record<Regime, Map<EvidenceRow, number>> = {
  'in-sample': new Map(),
  configuration: new Map(),
  a: new Map(),
  b: new Map(),
  c: new Map(),
  time: new Map(),
};
const keep = (regime: Regime, found: Residuals): void => {
  for (const [row, residual] of found) residuals[regime].set(row, residual);
};
/** Rows after the day of the regime by time, and how new they were then. */
const laterRows = new Map<EvidenceRow, Outsider>();
const inTime: Outsider[] = [];
const effects: Parameters['effects'] = { generation: {}, prompt: {} };
for (const metric of ['generation', 'prompt'] as const) {
  const regimes = new Regimes(rows, metric);
  const all = regimes.fitAll();
  effects[metric] = exportEffects(regimes.problem, all);
  keep('in-sample', regimes.inSample(all));
  const a = regimes.leaveOut((row) => row.chip, deviceKind);
  keep('a', a.residuals);
  keep('c', regimes.calibrated(a.fits, a.foldOf));
  keep(
    'b',
    regimes.leaveOut(
      (row) => row.prepared.modelId,
      modelKind,
      (row) => row.backendKey,
    ).residuals,
  );
  keep(
    'configuration',
    regimes.leaveOut(
      (row) =>
        `${row.prepared.modelId} ${row.publishedDevice} ${row.prepared.configuration.backend.exact} ${row.prepared.configuration.quantisation.name}`,
      modelKind,
      (row) => row.backendKey,
    ).residuals,
  );
  const later = outsiders(regimes, isLater);
  for (const each of later) laterRows.set(each.row, each);
  keep('time', new Map(later.map(({ row, tooFast }) => [row, -tooFast])));
  inTime.push(...splitInTime(regimes));
  log(`${metric}: ${regimes.problem.keys.length} effects`);
}
const intervals = (['configuration', 'a', 'b', 'c'] as const).flatMap((regime) =>
  conformalIntervals(residuals[regime], REGIME_NOVELTY[regime]),
);
const ages = learnAges(inTime, intervals);
const parameters: Parameters = {
  schemaVersion: 1,
  provenance: {
    generator: 'tools/fit/main.ts',
    measurements: rows.length,
    devices: new Set(rows.map((row) => row.publishedDevice)).size,
    models: new Set(rows.map((row) => row.prepared.modelId)).size,
    lastMeasurement:
      rows
        .map((row) => row.measurement.query.date ?? '')
        .sort()
        .at(-1) ?? '',
  },
  ...seenOf(rows),
  effects,
  intervals,
  ages,
};
writeFileSync(PARAMETERS_FILE, `${JSON.stringify(parameters)}\n`);
const ledger = Object.fromEntries(
  Object.entries(residuals).map(([regime, found]) => {
    const isPlain = ([row]: readonly [EvidenceRow, number]): boolean =>
      row.prepared.configuration.engine === 'llama.cpp';
    const score = (chosen: Residuals): ReturnType<typeof scoreCells> =>
      scoreCells(scoredRows(chosen, intervals, ages, regime as Regime));
    return [regime, { 'llama.cpp': score(new Map([...found].filter(isPlain))), all: score(found) }];
  }),
);
const before = existsSync(LEDGER_FILE)
  ? ledgerSchema.parse(JSON.parse(readFileSync(LEDGER_FILE, 'utf8')))
  : null;
writeFileSync(
  LEDGER_FILE,
  `${JSON.stringify({ schemaVersion: 1, answered: rows.length, unanswered: unanswered.length, regimes: ledger }, null, 2)}\n`,
);
for (const [regime, engines] of Object.entries(ledger)) {
  for (const [engine, cells] of Object.entries(engines)) {
    log(
      `${regime} ${engine}: ${cells.map((cell) => `${cell.cell} n${cell.rows} ${cell.medianPercent.toFixed(1)}/${cell.p90Percent.toFixed(0)} macro(${cell.devices}) ${cell.macroMedianPercent.toFixed(1)}/${cell.macroP90Percent.toFixed(0)} cov ${cell.macroCoveragePercent?.toFixed(0)} w ${cell.width?.toFixed(2)}`).join(' | ')}`,
    );
  }
}
const slips = before === null ? [] : slipsOf(before, ledger);
for (const slip of slips) log(`worse than the ledger by more than a tenth: ${slip}`);
if (process.argv.includes('--check') && slips.length > 0) process.exitCode = 1;
