import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { comparePairs, median, sortSamples } from '../../src/stats/index.ts';
import { buildLlamaBench } from '../setup/llama-bench.ts';
import { printRows } from './table.ts';
import { writeModel } from './models.ts';

const PAIRS = 5;
const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const TEST = ['-p', '512', '-n', '64', '-r', '5'] as const;

interface Row {
  readonly n_prompt: number;
  readonly samples_ts: readonly number[];
}

/** One synthetic file, run alternately by Ridgepoint and by llama-bench of the same release on the same libraries. */
export async function compareEngines(folder: string): Promise<void> {
  const llamaBench = await buildLlamaBench();
  const file = await writeModel('qwen3-0.6b:Q8_0', folder);
  const environment = { ...process.env, XDG_DATA_HOME: path.join(folder, 'data') };
  const ours = (): Row[] =>
    parse(
      execFileSync(process.execPath, [CLI, 'bench', file, ...TEST, '--backend', 'cpu', '-o', 'jsonl'], {
        encoding: 'utf8',
        env: environment,
      }),
    );
  const theirs = (): Row[] =>
    parse(
      execFileSync(llamaBench, ['-m', file, ...TEST, '-o', 'jsonl'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }),
    );
  const pairs: { pp: [number, number]; tg: [number, number] }[] = [];
  for (let pair = 0; pair < PAIRS; pair += 1) {
    let a: Row[];
    let b: Row[];
    if (pair % 2 === 0) {
      a = theirs();
      b = ours();
    } else {
      b = ours();
      a = theirs();
    }
    pairs.push({ pp: [rate(a, true), rate(b, true)], tg: [rate(a, false), rate(b, false)] });
  }
  const cell = ([a, b]: readonly [number, number]): string[] => [
    a.toFixed(1),
    b.toFixed(1),
    (b / a).toFixed(3),
  ];
  printRows(
    [
      'pair',
      'pp512 llama-bench',
      'pp512 Ridgepoint',
      'ratio',
      'tg64 llama-bench',
      'tg64 Ridgepoint',
      'ratio',
    ],
    pairs.map(({ pp, tg }, index) => [String(index + 1), ...cell(pp), ...cell(tg)]),
  );
  for (const [name, list] of [
    ['pp512', pairs.map(({ pp }) => pp)],
    ['tg64', pairs.map(({ tg }) => tg)],
  ] as const) {
    const { ratio, interval } = comparePairs(list);
    process.stdout.write(
      `${name}: median ratio ${ratio.toFixed(3)} (95 %: ${interval.low.toFixed(3)} to ${interval.high.toFixed(3)})\n`,
    );
  }
}

const parse = (text: string): Row[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Row);

/** Median tokens per second of the pp or the tg row. */
function rate(rows: readonly Row[], prompt: boolean): number {
  const row = rows.find((candidate) => candidate.n_prompt > 0 === prompt);
  if (row === undefined) throw new Error('a row is missing');
  return median(sortSamples(row.samples_ts));
}
