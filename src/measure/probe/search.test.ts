import { describe, expect, test } from 'vitest';
import { noisyRate, SURFACES, trueRate } from '../../../test/fixtures/matmul-surface.ts';
import { flopPerSecond, type FlopPerSecond } from '../../units/index.ts';
import { budgetFor, searchAdaptively, searchExhaustively } from './search.ts';
import { axisValues, shapeLabel, shapesOf, spaceSize, type Shape, type ShapeSpace } from './shape-space.ts';

const cube = (values: readonly number[]): ShapeSpace => ({ rows: values, batch: values, columns: values });
const multiples = (step: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => (index + 1) * step);
const rated =
  (rate: (shape: Shape) => number) =>
  (shape: Shape): Promise<FlopPerSecond> =>
    Promise.resolve(flopPerSecond(rate(shape)));

/** Timings of 50 after which the model is sure enough of itself to be surprised. */
const LEARNT = 30;
const SPACES = [
  { size: '10 x 10 x 10', space: cube(multiples(256, 10)), seeds: 20 },
  { size: '16 x 16 x 16', space: cube(multiples(1024, 16)), seeds: 2 },
] as const;
const CASES = SPACES.flatMap((each) => SURFACES.map((surface) => ({ ...each, surface, name: surface.name })));

describe('the adaptive search with a twentieth of the timings', () => {
  test.each(CASES)(
    'comes within 2 % of the best of $size shapes of $name',
    async ({ space, seeds, surface }) => {
      const best = Math.max(...shapesOf(space).map((shape) => trueRate(surface, shape)));
      const shares: number[] = [];
      for (let seed = 1; seed <= seeds; seed += 1) {
        const result = await searchAdaptively(space, rated(noisyRate(surface, seed)));
        expect(result.evaluations).toBeLessThanOrEqual(spaceSize(space) / 20);
        shares.push(result.best === null ? 0 : trueRate(surface, result.best.shape) / best);
      }
      // Noise makes some runs miss the best of a small space, where one shape in a thousand is good; not by much.
      expect(shares.filter((share) => share >= 0.98).length / seeds).toBeGreaterThanOrEqual(0.8);
      expect(Math.min(...shares)).toBeGreaterThan(0.93);
    },
  );
});

describe('a search', () => {
  const space = cube(multiples(256, 10));
  const surface = SURFACES[0];
  if (surface === undefined) throw new Error('no surface');

  test('times every shape once when it is exhaustive, and whole spaces that are small', async () => {
    const small = cube([256, 512]);
    const result = await searchAdaptively(
      small,
      rated((shape) => trueRate(surface, shape)),
    );
    expect(result.timed.map(({ shape }) => shapeLabel(shape))).toEqual(shapesOf(small).map(shapeLabel));
    const all = await searchExhaustively(
      space,
      rated((shape) => trueRate(surface, shape)),
    );
    expect(all.evaluations).toBe(1000);
  });

  test('goes on where it stopped when the timings that it had are given to it again', async () => {
    const rate = noisyRate(surface, 7);
    const first: FlopPerSecond[] = [];
    const whole = await searchAdaptively(space, async (shape) => {
      const value = flopPerSecond(rate(shape));
      first.push(value);
      return Promise.resolve(value);
    });
    const replayed: string[] = [];
    let next = 0;
    const again = await searchAdaptively(space, (shape) => {
      replayed.push(shapeLabel(shape));
      const value = first[next] ?? flopPerSecond(0);
      next += 1;
      return Promise.resolve(value);
    });
    expect(again).toEqual(whole);
    expect(replayed).toHaveLength(budgetFor(space));
  });

  test('ends with the best so far when it is told to', async () => {
    let calls = 0;
    const result = await searchAdaptively(
      space,
      (shape) => {
        calls += 1;
        return Promise.resolve(flopPerSecond(trueRate(surface, shape)));
      },
      { isOver: () => calls >= 5 },
    );
    expect(result.evaluations).toBe(5);
    const rates = result.timed.flatMap(({ rates: own }) => own.map((rate) => rate ?? 0));
    expect(result.best?.rate).toBe(Math.max(...rates));
  });

  test('times again at once what comes out much slower than expected, and a third time where that disagrees', async () => {
    const best = Math.max(...shapesOf(space).map((shape) => trueRate(surface, shape)));
    const timings: string[] = [];
    let disturbed: number | null = null;
    const result = await searchAdaptively(space, (shape) => {
      timings.push(shapeLabel(shape));
      const rate = trueRate(surface, shape);
      const isGood = timings.length > LEARNT && rate >= 0.95 * best;
      if (disturbed !== null || !isGood) return Promise.resolve(flopPerSecond(rate));
      disturbed = timings.length - 1;
      return Promise.resolve(flopPerSecond(rate * 0.5));
    });
    expect(result.best?.rate).toBeGreaterThan(0.95 * best);
    const at = disturbed ?? -1;
    expect(new Set(timings.slice(at, at + 3)).size).toBe(1);
  });

  test('leaves out shapes that cannot be run', async () => {
    const result = await searchAdaptively(space, (shape) =>
      Promise.resolve(shape.rows > 1280 ? null : flopPerSecond(trueRate(surface, shape))),
    );
    expect(result.best?.shape.rows).toBeLessThanOrEqual(1280);
    const none = await searchAdaptively(space, () => Promise.resolve(null));
    expect(none.best).toBeNull();
  });
});

describe('the values of a range', () => {
  test('leave out the stop, and start with a step where the start is 0, as in mamf-finder', () => {
    expect(axisValues({ start: 0, stop: 1024, step: 256 })).toEqual([256, 512, 768]);
    expect(axisValues({ start: 512, stop: 1025, step: 512 })).toEqual([512, 1024]);
  });
});
