import { openEmbeddedEngine } from '../../src/engine/host/index.ts';
import type { EngineProbe } from '../../src/engine/index.ts';
import {
  operationsOf,
  searchAdaptively,
  searchExhaustively,
  shapeLabel,
  shapesOf,
  spaceSize,
  type Shape,
  type ShapeSpace,
} from '../../src/measure/index.ts';
import { comparePairs, median, sortSamples } from '../../src/stats/index.ts';
import { flopPerSecond, type FlopPerSecond } from '../../src/units/index.ts';
import { noisyRate, SURFACES, trueRate } from '../fixtures/matmul-surface.ts';
import { printRows } from './table.ts';

/** The documented grid: ten lengths on each axis, 1000 shapes of up to 17 GFLOP. */
const LENGTHS = [256, 384, 512, 640, 768, 1024, 1280, 1536, 1792, 2048];
const GRID: ShapeSpace = { rows: LENGTHS, batch: LENGTHS, columns: LENGTHS };
const TYPES = ['Q8_0'] as const;
const THREADS = 2;
/** Searches, each of which is compared with timing every shape once. */
const SEARCHES = 10;
/** For each timing, as `probe gemm` takes it. */
const SHAPE_MILLISECONDS = 40;
/** The winners of a search and of timing every shape take turns so many times, each so long. */
const PAIRS = 9;
const PAIR_MILLISECONDS = 200;
const SYNTHETIC_RUNS = 60;

/** The adaptive search against timing every shape: on this machine, and on the surfaces of the tests. */
export async function compareSearches(): Promise<void> {
  process.env['NODE_OPTIONS'] = '--import tsx';
  const probe = openEmbeddedEngine({ variant: 'cpu' }).probe();
  try {
    for (const type of TYPES) await onThisMachine(probe, type);
  } finally {
    await probe.end();
  }
  await onSurfaces();
}

async function onThisMachine(probe: EngineProbe, type: string): Promise<void> {
  const time = async (shape: Shape, milliseconds = SHAPE_MILLISECONDS): Promise<FlopPerSecond> => {
    const samples = await probe.multiply({ device: 'CPU', type, ...shape, threads: THREADS, milliseconds });
    return flopPerSecond((operationsOf(shape) / median(sortSamples(samples))) * 1e9);
  };
  const timed = async (search: typeof searchAdaptively) => {
    const start = performance.now();
    const { best, evaluations } = await search(GRID, (shape) => time(shape));
    if (best === null) throw new Error('nothing was timed');
    return { best, evaluations, seconds: (performance.now() - start) / 1000 };
  };
  const exhaustive = await timed(searchExhaustively);
  process.stdout.write(
    `### ${type}, ${spaceSize(GRID)} shapes on this machine\n\nevery shape: ${exhaustive.evaluations} timings in ${exhaustive.seconds.toFixed(0)} s, best ${shapeLabel(exhaustive.best.shape)}, ${(exhaustive.best.rate / 1e9).toFixed(1)} GFLOP/s when found\n\n`,
  );
  const rows: string[][] = [];
  const ratios: number[] = [];
  for (let run = 1; run <= SEARCHES; run += 1) {
    const adaptive = await timed(searchAdaptively);
    // The best of many noisy timings looks better than it is: both winners are timed afresh, in turn.
    const pairs: [number, number][] = [];
    for (let pair = 0; pair < PAIRS; pair += 1) {
      const order = pair % 2 === 0 ? [exhaustive, adaptive] : [adaptive, exhaustive];
      const rates = new Map<object, number>();
      for (const each of order) rates.set(each, await time(each.best.shape, PAIR_MILLISECONDS));
      pairs.push([rates.get(exhaustive) ?? Number.NaN, rates.get(adaptive) ?? Number.NaN]);
    }
    const { ratio, interval } = comparePairs(pairs);
    ratios.push(ratio);
    rows.push([
      String(run),
      `${adaptive.evaluations} in ${adaptive.seconds.toFixed(0)} s`,
      shapeLabel(adaptive.best.shape),
      ratio.toFixed(3),
      `${interval.low.toFixed(3)} to ${interval.high.toFixed(3)}`,
    ]);
  }
  printRows(['search', 'timings', 'best shape', 'timed again in turn, to every shape', '95 %'], rows);
  process.stdout.write(
    `${ratios.filter((ratio) => ratio >= 0.98).length} of ${SEARCHES} within 2 %, median ${median(sortSamples(ratios)).toFixed(3)}\n\n`,
  );
}

async function onSurfaces(): Promise<void> {
  const multiples = (step: number, count: number): number[] =>
    Array.from({ length: count }, (_, index) => (index + 1) * step);
  const cube = (values: readonly number[]): ShapeSpace => ({ rows: values, batch: values, columns: values });
  const rows: string[][] = [];
  for (const [size, space] of [
    ['10 x 10 x 10', cube(multiples(256, 10))],
    ['16 x 16 x 16', cube(multiples(1024, 16))],
  ] as const) {
    for (const surface of SURFACES) {
      const truth = shapesOf(space).map((shape) => trueRate(surface, shape));
      const best = Math.max(...truth);
      const shares: number[] = [];
      let evaluations = 0;
      for (let seed = 1; seed <= SYNTHETIC_RUNS; seed += 1) {
        const rate = noisyRate(surface, seed);
        const result = await searchAdaptively(space, (shape) => Promise.resolve(flopPerSecond(rate(shape))));
        evaluations = result.evaluations;
        shares.push(result.best === null ? 0 : trueRate(surface, result.best.shape) / best);
      }
      const within = shares.filter((share) => share >= 0.98).length;
      const good = truth.filter((rate) => rate >= 0.98 * best).length / truth.length;
      rows.push([
        size,
        surface.name,
        `${(good * 100).toFixed(1)} %`,
        `${evaluations} of ${truth.length}`,
        `${within} of ${SYNTHETIC_RUNS}`,
        median(sortSamples(shares)).toFixed(3),
        Math.min(...shares).toFixed(3),
      ]);
    }
  }
  printRows(
    ['shapes', 'surface', 'shapes within 2 %', 'timings', 'runs within 2 %', 'median share', 'worst share'],
    rows,
  );
}
