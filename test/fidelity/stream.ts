import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { openEmbeddedEngine } from '../../src/engine/host/index.ts';
import type { EngineProbe } from '../../src/engine/index.ts';
import { streamRate } from '../../src/measure/index.ts';
import { comparePairs, median, sortSamples } from '../../src/stats/index.ts';
import { bytes, MIB } from '../../src/units/index.ts';
import { printRows } from './table.ts';

/** On a machine that others use, many short rounds tell more than a few long ones: what disturbs lasts for seconds. */
const ROUNDS = 40;
const THREADS = 2;
/** Sixteen times the 32 MiB that this machine shows of its last cache, all arrays together. */
const WORKING_SET = bytes(512 * MIB);
/** Of each program in a round; the probe does five as well. */
const PASSES = 5;
const SOURCE = fileURLToPath(new URL('stream.c', import.meta.url));
const DOUBLE_BYTES = 8;
/** Doubles between two arrays of the probe (`GAP_FLOATS` of src/engine/host/stream.ts). */
const GAP = 136;
/** Arrays of the probe are whole rows of 16 KiB; these are as well, so that both lie alike in their pages. */
const WHOLE_DOUBLES = 2048;

const OPERATIONS = [
  { name: 'copy', arrays: 2, flags: [] },
  { name: 'triad', arrays: 3, flags: ['-DTRIAD'] },
] as const;
const LIKE_THE_PROBE = 'STREAM';
const VARIANTS: readonly {
  readonly name: string;
  readonly gap: number;
  readonly flags: readonly string[];
}[] = [
  { name: LIKE_THE_PROBE, gap: GAP, flags: [] },
  { name: 'as a loop', gap: GAP, flags: ['-fno-tree-loop-distribute-patterns'] },
  { name: 'without a gap', gap: 0, flags: [] },
  { name: 'streaming stores', gap: GAP, flags: ['-DSTREAMING'] },
];

/** `probe bandwidth` against STREAM's kernels, compiled here, with the same threads and sizes, in turn. */
export async function compareStream(folder: string): Promise<void> {
  process.env['NODE_OPTIONS'] = '--import tsx';
  const probe = openEmbeddedEngine({ variant: 'cpu' }).probe();
  try {
    for (const { name, arrays, flags } of OPERATIONS) {
      const contestants = new Map<string, () => Promise<number>>([['probe', () => probed(probe, name)]]);
      const length = Math.floor(WORKING_SET / arrays / DOUBLE_BYTES / WHOLE_DOUBLES) * WHOLE_DOUBLES;
      for (const [index, variant] of VARIANTS.entries()) {
        const program = path.join(folder, `stream-${name}-${index}`);
        const defined = [`-DLENGTH=${length}`, `-DOFFSET=${variant.gap}`];
        try {
          const all = ['-O3', '-march=native', '-fopenmp', ...flags, ...variant.flags, ...defined];
          execFileSync('gcc', [...all, SOURCE, '-o', program], { stdio: 'pipe' });
        } catch (error) {
          process.stdout.write(
            `${variant.name} was left out: gcc cannot compile it here (${String(error)}).\n`,
          );
          continue;
        }
        contestants.set(variant.name, () => Promise.resolve(streamOf(program)));
      }
      await compare(name, contestants);
    }
  } finally {
    await probe.end();
  }
}

/** Each once in every round, forwards and backwards in turn. */
async function compare(
  title: string,
  contestants: ReadonlyMap<string, () => Promise<number>>,
): Promise<void> {
  const names = [LIKE_THE_PROBE, 'probe', ...VARIANTS.slice(1).map(({ name }) => name)];
  const order = names.flatMap((name) => {
    const time = contestants.get(name);
    return time === undefined ? [] : [{ name, time }];
  });
  const rounds: Map<string, number>[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const rates = new Map<string, number>();
    for (const { name, time } of round % 2 === 0 ? order : order.toReversed()) rates.set(name, await time());
    rounds.push(rates);
  }
  process.stdout.write(`### ${title}\n\n`);
  const gigabytes = (rate: number | undefined): string => ((rate ?? Number.NaN) / 1e9).toFixed(2);
  printRows(
    ['round', ...order.map(({ name }) => `${name}, GB/s`)],
    rounds.map((rates, index) => [String(index + 1), ...order.map(({ name }) => gigabytes(rates.get(name)))]),
  );
  const rows = order.map(({ name }) => {
    const own = rounds.map((rates) => rates.get(name) ?? Number.NaN);
    const { ratio, interval } = comparePairs(
      rounds.map((rates) => [rates.get(LIKE_THE_PROBE) ?? Number.NaN, rates.get(name) ?? Number.NaN]),
    );
    const range = `${interval.low.toFixed(3)} to ${interval.high.toFixed(3)}`;
    return name === LIKE_THE_PROBE
      ? [name, gigabytes(median(sortSamples(own))), '', '']
      : [name, gigabytes(median(sortSamples(own))), ratio.toFixed(3), range];
  });
  printRows([title, 'median, GB/s', `to ${LIKE_THE_PROBE}, by round`, '95 %'], rows);
}

/** Median of the passes but the first, which finds cold pages. */
function streamOf(program: string): number {
  const output = execFileSync(program, [String(PASSES + 1)], {
    encoding: 'utf8',
    env: { ...process.env, OMP_NUM_THREADS: String(THREADS) },
  });
  const [, ...rates] = output.trimEnd().split('\n').map(Number);
  return median(sortSamples(rates));
}

async function probed(probe: EngineProbe, operation: 'copy' | 'triad'): Promise<number> {
  const { samplesNanoseconds, ...known } = await probe.stream({
    device: 'CPU',
    operation,
    workingSetBytes: WORKING_SET,
    threads: THREADS,
    milliseconds: 1,
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
