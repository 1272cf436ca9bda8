import type { TurnCost } from '../advise/index.ts';
import type { PowerFigure, PowerKind } from '../catalog/index.ts';
import type { PredictedTurn } from '../predict/index.ts';
import { bytes, formatBytes, formatSignificant } from '../units/index.ts';
import { basisLegend } from './basis-text.ts';
import { durationText, intervalText } from './interval-text.ts';
import { letterLegend, letterOf } from './lettered.ts';

/** A turn with a prompt of one length, on one machine. */
export interface ComparedTurn {
  readonly promptTokens: number;
  readonly turn: PredictedTurn;
  readonly cost: TurnCost;
  /** What model and context take of the memory that holds the model; null: llama.cpp refuses the settings. */
  readonly neededBytes: number | null;
  readonly fits: 'yes' | 'barely' | 'no' | null;
}

/** A machine with its turns, the shortest prompt first. */
export interface ComparedMachine {
  readonly name: string;
  readonly backend: string;
  readonly memoryBytes: number | null;
  readonly priceUsd: number | null;
  /** Whether the price is that of a whole machine, or of a device that still wants one. */
  readonly priceOf: 'machine' | 'device';
  readonly power: PowerFigure | null;
  readonly turns: readonly ComparedTurn[];
}

/** Rows of text below a head, as wide as is wanted. */
export interface TextTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface ComparisonText {
  readonly legend: readonly string[];
  /** Machines side by side; more than one table where a line has no room for all. */
  readonly tables: readonly TextTable[];
  readonly notes: readonly string[];
}

const UNKNOWN = 'unknown';
const known = <Value>(value: Value | null, show: (value: Value) => string): string =>
  value === null ? UNKNOWN : show(value);

const sizeText = (size: number | null): string => known(size, (value) => formatBytes(bytes(value)));

/** What is compared at every length of the prompt. */
const OF_TURNS: readonly (readonly [string, (compared: ComparedTurn) => string])[] = [
  ['pp, tokens/s', ({ turn }) => intervalText(turn.promptSpeed)],
  ['tg, tokens/s', ({ turn }) => intervalText(turn.outputSpeed)],
  ['first token', ({ turn }) => durationText(turn.firstToken)],
  ['whole turn', ({ turn }) => durationText(turn.whole)],
  ['joules a turn', ({ cost }) => known(cost.joules, formatSignificant)],
  ['tg per W', ({ cost }) => known(cost.tokensPerSecondPerWatt, formatSignificant)],
  ['tg per 1000 USD', ({ cost }) => known(cost.tokensPerSecondPerThousandDollars, formatSignificant)],
  ['fits', ({ fits }) => known(fits, (verdict) => verdict)],
];

/** What is the same whatever the prompt, but for the memory, which is that of the longest. */
const OF_MACHINES: readonly (readonly [string, (machine: ComparedMachine) => string])[] = [
  ['memory needed', ({ turns }) => sizeText(turns.at(-1)?.neededBytes ?? null)],
  ['memory', ({ memoryBytes }) => sizeText(memoryBytes)],
  ['power', ({ power }) => known(power, ({ watts, kind }) => `${formatSignificant(watts)} W ${kind}`)],
  [
    'price',
    ({ priceUsd, priceOf }) =>
      known(priceUsd, (value) => `${value} USD${priceOf === 'device' ? ' device' : ''}`),
  ],
  ['basis', ({ turns }) => [...new Set(turns.map(({ turn }) => turn.basis))].join(', ')],
];

/** Lays a comparison out for lines of `width` characters. */
export function comparisonText(machines: readonly ComparedMachine[], width: number): ComparisonText {
  const lengths = machines[0]?.turns.map(({ promptTokens }) => promptTokens) ?? [];
  const lines = linesOf(machines, lengths);
  const labels = lines.map(([label = '']) => label);
  const columns = machines.map((_, index) => lines.map((line) => line[index + 1] ?? ''));
  const room = width - widest(labels);
  const tables: TextTable[] = [];
  let at = 0;
  while (at < columns.length) {
    const shown = columns.slice(at, at + Math.max(1, fitting(columns.slice(at), room)));
    const [head = [], ...rows] = labels.map((label, row) => [
      label,
      ...shown.map((cells) => cells[row] ?? ''),
    ]);
    tables.push({ head, rows });
    at += shown.length;
  }
  return {
    legend: letterLegend(machines.map(({ name, backend }) => `${name}, ${backend}`)),
    tables,
    notes: notesOf(machines),
  };
}

/** A label and a cell to a machine. A quantity that depends on the prompt has a heading, and a line to a length. */
function linesOf(machines: readonly ComparedMachine[], lengths: readonly number[]): string[][] {
  const ofTurns = OF_TURNS.flatMap(([name, show]) => {
    const cells = machines.map(({ turns }) => turns.map(show));
    const alike = cells.every((each) => each.every((cell) => cell === each[0]));
    return alike
      ? [[name, ...cells.map(([cell = '']) => cell)]]
      : [
          [name],
          ...lengths.map((length, index) => [`  ${length}`, ...cells.map((each) => each[index] ?? '')]),
        ];
  });
  return [
    [lengths.length === 1 ? '' : 'prompt', ...machines.map((_, index) => letterOf(index))],
    ...ofTurns,
    ...OF_MACHINES.map(([name, show]) => [name, ...machines.map(show)]),
  ];
}

/** Characters between columns. */
const GAP = 2;
const widest = (cells: readonly string[]): number => Math.max(...cells.map((cell) => cell.length));

/** How many columns find room. */
function fitting(columns: readonly (readonly string[])[], room: number): number {
  let left = room;
  for (const [index, cells] of columns.entries()) {
    left -= GAP + widest(cells);
    if (left < 0) return index;
  }
  return columns.length;
}

const POWER_MEANINGS: Readonly<Record<PowerKind, string>> = {
  measured: 'the most that the whole machine was seen to draw with a language model',
  maximum: 'the most that the whole machine draws, as its maker states',
  chip: 'what the chip may draw for long; the rest of the machine comes on top',
  cards: 'board power of the graphics cards; the rest of the machine comes on top',
};

function notesOf(machines: readonly ComparedMachine[]): string[] {
  const kinds = [...new Set(machines.flatMap(({ power }) => (power === null ? [] : [power.kind])))];
  const mixed =
    kinds.length > 1 ? ['these are different things: joules and tg per W compare only roughly'] : [];
  return [
    'pp over the new part of the prompt, tg over the answer; in brackets the interval that is meant to',
    'hold four measurements of five; joules at the power shown',
    ...kinds.map((kind) => `power, ${kind}: ${POWER_MEANINGS[kind]}`),
    ...mixed,
    ...(machines.some(({ priceUsd, priceOf }) => priceUsd !== null && priceOf === 'device')
      ? ['price, device: at launch, of the device alone']
      : []),
    ...basisLegend(machines.flatMap(({ turns }) => turns.map(({ turn }) => turn.basis))),
  ];
}
