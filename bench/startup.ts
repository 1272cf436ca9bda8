import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { median, medianInterval, sortSamples } from '../src/stats/index.ts';

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const REPORTER = fileURLToPath(new URL('report-cpu-time.cjs', import.meta.url));
const RUNS = 20;
/** The goal of the project: an answer that nobody waits for, on a small machine too. */
const GOAL_MILLISECONDS = 150;
/** What a new user tries first, and the time in which it has to answer. */
const FIT = ['fit', 'gpt-oss-120b', '--ctx', '131072', '--machine', 'framework-desktop-395-128'];
const FIT_GOAL_MILLISECONDS = 300;
/** The interval that is printed contains the median with this probability. */
const CONFIDENCE = 0.95;

/**
 * Prints the processor time (user and system) of `ridgepoint --help`, how long `ridgepoint fit` takes to answer, and
 * both of a Node which does nothing: the difference is ours. They take turns, so that a busy machine slows all.
 */
export function measureStartup(): void {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} does not exist; run: npm run build`);
  const help: number[] = [];
  const nothing: number[] = [];
  const fit: number[] = [];
  const start: number[] = [];
  // The first of each fills the cache of files.
  cpuMilliseconds([MAIN, '--help']);
  milliseconds([MAIN, ...FIT]);
  for (let run = 0; run < RUNS; run += 1) {
    help.push(cpuMilliseconds([MAIN, '--help']));
    nothing.push(cpuMilliseconds(['-e', '0']));
    fit.push(milliseconds([MAIN, ...FIT]));
    start.push(milliseconds(['-e', '0']));
  }
  const ratios = help.map((value, run) => value / (nothing[run] ?? Number.NaN));
  const lines = [
    `ridgepoint --help   ${spread(help)} ms of processor time (goal: below ${GOAL_MILLISECONDS} ms)`,
    `node -e 0           ${spread(nothing)} ms`,
    `ratio               ${spread(ratios)}`,
    `ridgepoint fit      ${spread(fit)} ms until it has answered (goal: below ${FIT_GOAL_MILLISECONDS} ms)`,
    `node -e 0           ${spread(start)} ms`,
  ];
  process.stdout.write(
    `${lines.join('\n')}\n(median of ${RUNS} runs and its ${CONFIDENCE * 100} % interval)\n`,
  );
}

/** How long a child runs, as one waits for it. */
function milliseconds(argv: readonly string[]): number {
  const start = performance.now();
  const { status } = spawnSync(process.execPath, argv, {
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status !== 0) throw new Error(`node ${argv.join(' ')} ended with ${status}`);
  return performance.now() - start;
}

/** User and system time of a child, as the child itself reads it when it ends: Node has no `wait4` for its parent. */
function cpuMilliseconds(argv: readonly string[]): number {
  const { output } = spawnSync(process.execPath, ['--require', REPORTER, ...argv], {
    encoding: 'utf8',
    // Without the options of this process, which make Node read TypeScript.
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
  });
  return Number(output[3]) / 1000;
}

function spread(values: readonly number[]): string {
  const sorted = sortSamples(values);
  const { low, high } = medianInterval(values, CONFIDENCE);
  return `${median(sorted).toFixed(1)} (${low.toFixed(1)} to ${high.toFixed(1)})`;
}
