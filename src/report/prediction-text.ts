import type { PredictedTurn, Prediction } from '../predict/index.ts';
import { basisLegend } from './basis-text.ts';
import type { TextTable } from './comparison-text.ts';
import { durationText, intervalText } from './interval-text.ts';
import { letterLegend, letterOf } from './lettered.ts';

/** A model on a machine at one depth, with a prompt of one length. */
export interface PredictedRow {
  readonly model: string;
  /** The machine with its backend. */
  readonly machine: string;
  readonly depthTokens: number;
  readonly promptTokens: number;
  readonly generation: Prediction;
  /** null: no compute peak of the device is known. */
  readonly prompt: Prediction | null;
  readonly firstToken: PredictedTurn['firstToken'] | null;
}

export interface PredictionText {
  readonly heading: readonly string[];
  readonly table: TextTable;
  readonly notes: readonly string[];
}

/** Columns for what differs between the rows; what is the same for all stands above them once. */
export function predictionText(rows: readonly PredictedRow[]): PredictionText {
  const models = distinct(rows.map(({ model }) => model));
  const machines = distinct(rows.map(({ machine }) => machine));
  const prompts = distinct(rows.map(({ promptTokens }) => promptTokens));
  const bases = distinct(rows.map(({ generation }) => generation.basis));
  const columns: (readonly [string, (row: PredictedRow) => string])[] = [];
  if (models.length > 1) columns.push(['model', ({ model }) => model]);
  if (machines.length > 1) columns.push(['on', ({ machine }) => letterOf(machines.indexOf(machine))]);
  columns.push(['depth', ({ depthTokens }) => String(depthTokens)]);
  if (prompts.length > 1) columns.push(['prompt', ({ promptTokens }) => String(promptTokens)]);
  columns.push(
    [
      prompts.length > 1 ? 'pp' : `pp${prompts.join('')}`,
      ({ prompt }) => (prompt === null ? 'no peak known' : intervalText(speedOf(prompt))),
    ],
    ['tg', ({ generation }) => intervalText(speedOf(generation))],
    ['first token', ({ firstToken }) => (firstToken === null ? 'unknown' : durationText(firstToken))],
  );
  const basisOf = (name: string): string =>
    distinct(rows.filter(({ machine }) => machine === name).map(({ generation }) => generation.basis)).join(
      ' or ',
    );
  if (machines.length === 1 && bases.length > 1)
    columns.push(['basis', ({ generation }) => generation.basis]);
  return {
    heading:
      machines.length === 1
        ? [`${models.length === 1 ? `${models.join('')} on ` : ''}${machines.join('')}`]
        : [
            ...(models.length === 1 ? models : []),
            ...letterLegend(machines.map((name) => `${name} (${basisOf(name)})`)),
          ],
    table: {
      head: columns.map(([title]) => title),
      rows: rows.map((row) => columns.map(([, show]) => show(row))),
    },
    notes: [
      'pp and tg in tokens/s, the first token after the prompt; in brackets the interval that is meant to',
      'hold four measurements of five',
      ...basisLegend(bases),
    ],
  };
}

const distinct = <Value>(values: readonly Value[]): Value[] => [...new Set(values)];

const speedOf = ({ tokensPerSecond, low, high }: Prediction) => ({ value: tokensPerSecond, low, high });
