import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { openEmbeddedEngine } from '../../src/engine/host/index.ts';
import type { EngineProbe } from '../../src/engine/index.ts';
import { streamRate } from '../../src/measure/index.ts';
import { comparePairs, median, sortSamples } from '../../src/stats/index.ts';
import { bytes, MIB } from '../../src/units/index.ts';
import { printRows } from './table.ts';

const PAIRS = 10;
const THREADS = 2;
/** Sixteen times the 32 MiB that this machine shows of its last cache, all arrays together. */
const WORKING_SET = bytes(512 * MIB);
const PASSES = 10;
const SOURCE = fileURLToPath(new URL('stream.c', import.meta.url));
const OPERATIONS = [
  { name: 'copy', arrays: 2 },
  { name: 'triad', arrays: 3 },
] as const;

/** `probe bandwidth` against STREAM's kernels, compiled here, with the same threads and sizes, in turn. */
export async function compareStream(folder: string): Promise<void> {
  process.env['NODE_OPTIONS'] = '--import tsx';
  const probe = openEmbeddedEngine({ variant: 'cpu' }).probe();
  try {
    for (const { name, arrays } of OPERATIONS) {
      const program = path.join(folder, `stream-${name}`);
      const length = `-DLENGTH=${Math.floor(WORKING_SET / arrays / 8)}`;
      try {
        execFileSync('gcc', ['-O3', '-march=native', '-fopenmp', length, SOURCE, '-o', program]);
      } catch (error) {
        process.stdout.write(`STREAM was left out: gcc with OpenMP is needed (${String(error)}).\n`);
        return;
      }
      const theirs = (): number => streamOf(program, name);
      const ours = (): Promise<number> => probed(probe, name);
      await ours();
      const pairs: [number, number][] = [];
      for (let pair = 0; pair < PAIRS; pair += 1) {
        if (pair % 2 === 0) {
          const a = theirs();
          pairs.push([a, await ours()]);
        } else {
          const b = await ours();
          pairs.push([theirs(), b]);
        }
      }
      process.stdout.write(`### ${name}\n\n`);
      printRows(
        ['pair', 'STREAM, GB/s', 'probe, GB/s', 'ratio'],
        pairs.map(([a, b], index) => [
          String(index + 1),
          (a / 1e9).toFixed(2),
          (b / 1e9).toFixed(2),
          (b / a).toFixed(3),
        ]),
      );
      const { ratio, interval } = comparePairs(pairs);
      process.stdout.write(
        `${name}: median ratio ${ratio.toFixed(3)} (95 %: ${interval.low.toFixed(3)} to ${interval.high.toFixed(3)})\n\n`,
      );
    }
  } finally {
    await probe.end();
  }
}

/** Median of the passes but the first, which finds cold pages. */
function streamOf(program: string, name: string): number {
  const output = execFileSync(program, [String(PASSES + 1)], {
    encoding: 'utf8',
    env: { ...process.env, OMP_NUM_THREADS: String(THREADS) },
  });
  const rates = output
    .split('\n')
    .filter((line) => line.startsWith(`${name} `))
    .map((line) => Number(line.slice(name.length)));
  return median(sortSamples(rates.slice(1)));
}

async function probed(probe: EngineProbe, operation: 'copy' | 'triad'): Promise<number> {
  const { samplesNanoseconds, ...known } = await probe.stream({
    device: 'CPU',
    operation,
    workingSetBytes: WORKING_SET,
    threads: THREADS,
    milliseconds: 300,
  });
  const rate = streamRate({
    device: 'CPU',
    threads: THREADS,
    subject: { kind: 'stream', operation, workingSetBytes: WORKING_SET, ...known },
    samplesNanoseconds: [...samplesNanoseconds],
    telemetry: null,
    failure: null,
  });
  if (rate === null) throw new Error('nothing was timed');
  return rate.value;
}
