import { median, seededRandom, sortSamples } from '../../stats/index.ts';
import { flopPerSecond, type FlopPerSecond } from '../../units/index.ts';
import { shapeLabel, shapesOf, spaceSize, type Shape, type ShapeSpace } from './shape-space.ts';
import { expectedImprovement, newSurrogate, surpriseOf, type Surrogate } from './surrogate.ts';

/** Times one shape: its rate, or null when it cannot be run (too large for the device, say). */
export type TimeShape = (shape: Shape) => Promise<FlopPerSecond | null>;

export interface TimedShape {
  readonly shape: Shape;
  /** Every timing of this shape, in order; null where it could not be run. */
  readonly rates: readonly (FlopPerSecond | null)[];
}

/** What a search found; also while it goes on. */
export interface SearchResult {
  readonly timed: readonly TimedShape[];
  /** Calls of `time` so far. */
  readonly evaluations: number;
  /** null: no shape could be run yet. */
  readonly best: { readonly shape: Shape; readonly rate: FlopPerSecond } | null;
}

export interface SearchOptions {
  /** Most timings; {@link budgetFor} unless told. */
  readonly maxEvaluations?: number;
  /** Looked at before each timing; true ends the search with what it has. */
  readonly isOver?: () => boolean;
  readonly onProgress?: (result: SearchResult) => void;
}

/** An adaptive search times at most this share of the shapes. */
const BUDGET_SHARE = 1 / 20;
/** Fewer timings than this find nothing; a space that small is timed whole. */
const FEWEST_EVALUATIONS = 16;
/** Beyond this many timings of one type a search has long converged. */
const MOST_EVALUATIONS = 400;
/** Of the budget: spread over the whole space before anything is expected of any shape. */
const SPREAD_SHARE = 0.35;
/** Of the budget: timed again at the end, because the best of many noisy timings looks better than it is. */
const CONFIRM_SHARE = 0.2;
const MOST_CONFIRMED = 8;
/**
 * Candidates that the model is asked about before each timing, which takes it some milliseconds. A finer space is
 * thinned first, and searched around the best afterwards.
 */
const MOST_CANDIDATES = 8192;
/** Of the budget, where the space was thinned: in the full space around the best. */
const REFINE_SHARE = 0.35;
/** Any fixed number: the same timings must lead to the same next shape, so that a search can be resumed. */
const SEED = 0x9e3779b9;

/** Timings that an adaptive search of this space makes. */
export function budgetFor(space: ShapeSpace): number {
  const size = spaceSize(space);
  if (size <= FEWEST_EVALUATIONS) return size;
  return Math.min(MOST_EVALUATIONS, Math.max(FEWEST_EVALUATIONS, Math.floor(size * BUDGET_SHARE)));
}

/** Times every shape once, in order. */
export async function searchExhaustively(
  space: ShapeSpace,
  time: TimeShape,
  options: SearchOptions = {},
): Promise<SearchResult> {
  const log = new TimingLog(time, options);
  for (const shape of shapesOf(space)) {
    if (log.isOver()) break;
    await log.time(shape);
  }
  return log.result();
}

/**
 * Finds a shape whose rate is close to the best of the space without timing more than a twentieth of it: spreads the
 * first timings over the space, then times where a model of the surface ({@link newSurrogate}) expects the greatest
 * improvement, first in a thinned space where the whole one is too fine, and times the best few again. A timing that is
 * much slower than expected is made again at once ({@link settle}).
 * What is timed next follows from the earlier timings alone, so a search that is given them again goes on from there.
 */
export async function searchAdaptively(
  space: ShapeSpace,
  time: TimeShape,
  options: SearchOptions = {},
): Promise<SearchResult> {
  const budget = options.maxEvaluations ?? budgetFor(space);
  if (spaceSize(space) <= budget) return searchExhaustively(space, time, options);
  const log = new TimingLog(time, options);
  const coarse = thin(space);
  const isThinned = spaceSize(coarse) < spaceSize(space);
  const confirmations = Math.min(MOST_CONFIRMED, Math.max(2, Math.floor(budget * CONFIRM_SHARE)));
  const refinements = isThinned ? Math.floor(budget * REFINE_SHARE) : 0;

  for (const shape of spread(coarse, Math.max(4, Math.floor(budget * SPREAD_SHARE)))) {
    if (log.isOver()) return log.result();
    await log.time(shape);
  }
  let model = Model.after(shapesOf(coarse), log);
  if (model === null) return log.result();
  await follow(model, () => model?.mostPromising() ?? null, log, budget - confirmations - refinements);
  const leader = model.leastCertainLeader();
  if (isThinned && leader !== null) {
    model = Model.after(shapesOf(windowAround(space, leader)), log) ?? model;
    await follow(model, () => model?.mostPromising() ?? null, log, budget - confirmations);
  }
  await follow(model, () => model?.leastCertainLeader() ?? null, log, budget);
  return log.result();
}

/** Keeps values evenly, the first and the last always among them, until there are few enough shapes. */
function thin(space: ShapeSpace): ShapeSpace {
  const keep = (values: readonly number[], most: number): number[] => {
    if (values.length <= most) return [...values];
    const last = values.length - 1;
    const indices = Array.from({ length: most }, (_, index) => Math.round((index * last) / (most - 1)));
    return [...new Set(indices)].flatMap((index) => values[index] ?? []);
  };
  let most = Math.max(space.rows.length, space.batch.length, space.columns.length);
  let thinned = space;
  for (; spaceSize(thinned) > MOST_CANDIDATES; most -= 1) {
    thinned = {
      rows: keep(space.rows, most),
      batch: keep(space.batch, most),
      columns: keep(space.columns, most),
    };
  }
  return thinned;
}

/** The values of each axis next to those of a shape, as many as make {@link MOST_CANDIDATES} shapes. */
function windowAround(space: ShapeSpace, centre: Shape): ShapeSpace {
  const width = Math.floor(Math.cbrt(MOST_CANDIDATES));
  const near = (axis: keyof ShapeSpace): readonly number[] => {
    const values = space[axis];
    const first = Math.max(
      0,
      Math.min(values.indexOf(centre[axis]) - Math.floor(width / 2), values.length - width),
    );
    return values.slice(first, first + width);
  };
  return { rows: near('rows'), batch: near('batch'), columns: near('columns') };
}

/** The largest shape, then a Latin hypercube: each axis is cut into as many parts as there are shapes, each used once. */
function spread(space: ShapeSpace, count: number): Shape[] {
  const random = seededRandom(SEED);
  const places = (): number[] => {
    const order = Array.from({ length: count - 1 }, (_, index) => index);
    for (let index = order.length - 1; index > 0; index -= 1) {
      const other = Math.floor(random() * (index + 1));
      [order[index], order[other]] = [order[other] ?? 0, order[index] ?? 0];
    }
    return order.map((place) => (place + random()) / order.length);
  };
  const at = (values: readonly number[], place: number): number =>
    values[Math.min(values.length - 1, Math.floor(place * values.length))] ?? 0;
  const [m, n, k] = [places(), places(), places()];
  const shapes = m.map((place, index) => ({
    rows: at(space.rows, place),
    batch: at(space.batch, n[index] ?? 0),
    columns: at(space.columns, k[index] ?? 0),
  }));
  const largest = { rows: at(space.rows, 1), batch: at(space.batch, 1), columns: at(space.columns, 1) };
  return [...new Map([largest, ...shapes].map((shape) => [shapeLabel(shape), shape])).values()];
}

/** What is known of the shapes of one space, timed or not. */
class Model {
  readonly #candidates: readonly Shape[];
  readonly #indices: ReadonlyMap<string, number>;
  readonly #surrogate: Surrogate;
  readonly #scale: number;
  readonly #timings = new Map<number, number>();

  /** Of a space and of the shapes that were timed already. @returns null when none of them could be run. */
  static after(space: readonly Shape[], log: TimingLog): Model | null {
    const { timed, best } = log.result();
    return best === null ? null : new Model(space, timed, best.rate);
  }

  private constructor(space: readonly Shape[], timed: readonly TimedShape[], scale: FlopPerSecond) {
    const all = [...space, ...timed.map(({ shape }) => shape)];
    this.#candidates = [...new Map(all.map((shape) => [shapeLabel(shape), shape])).values()];
    this.#indices = new Map(this.#candidates.map((shape, index) => [shapeLabel(shape), index]));
    this.#scale = scale;
    const rates = mediansOf(timed).map(({ rate }) => rate / scale);
    this.#surrogate = newSurrogate(this.#candidates, median(sortSamples(rates)));
    for (const { shape, rates: own } of timed) for (const rate of own) this.observe(shape, rate);
  }

  observe(shape: Shape, rate: FlopPerSecond | null): void {
    const index = this.#indices.get(shapeLabel(shape));
    if (index === undefined) return;
    // What cannot be run is never asked for again, but says nothing about its neighbours.
    this.#timings.set(index, rate === null ? Number.POSITIVE_INFINITY : (this.#timings.get(index) ?? 0) + 1);
    if (rate !== null) this.#surrogate.observe(index, rate / this.#scale);
  }

  /** How far a rate lies above what is expected of a shape, in standard deviations. */
  surprise(shape: Shape, rate: FlopPerSecond): number {
    const index = this.#indices.get(shapeLabel(shape));
    return index === undefined ? 0 : surpriseOf(this.#surrogate, index, rate / this.#scale);
  }

  /** The shape that has not been timed and is expected to improve most on the best of those that have. */
  mostPromising(): Shape | null {
    const best = Math.max(...this.#runnable().map(({ mean }) => mean));
    let chosen: Shape | null = null;
    let most = Number.NEGATIVE_INFINITY;
    for (const [index, shape] of this.#candidates.entries()) {
      if (this.#timings.has(index)) continue;
      const gain = expectedImprovement(this.#surrogate, index, best);
      if (gain <= most) continue;
      most = gain;
      chosen = shape;
    }
    return chosen;
  }

  /** Of the few that may be the best, the one that was timed least. */
  leastCertainLeader(): Shape | null {
    const leaders = this.#runnable().toSorted((a, b) => b.mean - a.mean);
    const best = leaders[0];
    if (best === undefined) return null;
    const close = leaders.slice(0, CLOSE_COUNT).filter(({ mean }) => mean > best.mean - CLOSE);
    return close.toSorted((a, b) => a.timings - b.timings)[0]?.shape ?? null;
  }

  #runnable(): { shape: Shape; mean: number; timings: number }[] {
    return [...this.#timings].flatMap(([index, timings]) => {
      const shape = this.#candidates[index];
      if (shape === undefined || timings === Number.POSITIVE_INFINITY) return [];
      return [{ shape, mean: this.#surrogate.mean(index), timings }];
    });
  }
}

/** Rates that differ by less, as a share of the best, cannot be told apart by one timing each. */
const CLOSE = 0.03;
const CLOSE_COUNT = 3;

/** Times what the model names until the budget ends. */
async function follow(model: Model, next: () => Shape | null, log: TimingLog, until: number): Promise<void> {
  while (log.evaluations < until && !log.isOver()) {
    const shape = next();
    if (shape === null) return;
    for (const rate of await settle(model, shape, log, until)) model.observe(shape, rate);
  }
}

/** Standard deviations below what the model expects, beyond which a timing is made again. */
const SURPRISE = 2;
/** How far two timings of one shape may lie apart, as a share, before a third one decides. */
const AGREEMENT = 0.08;

/**
 * Times a shape once; where that comes out much slower than expected, again, and where the two disagree a third time:
 * another program that got in the way once would hide the best shape for good.
 * @returns what is to be observed: the timings that agree, or the median of three.
 */
async function settle(
  model: Model,
  shape: Shape,
  log: TimingLog,
  until: number,
): Promise<readonly (FlopPerSecond | null)[]> {
  const mayGoOn = (): boolean => log.evaluations < until && !log.isOver();
  const first = await log.time(shape);
  if (first === null || model.surprise(shape, first) > -SURPRISE || !mayGoOn()) return [first];
  const second = await log.time(shape);
  if (second === null || Math.abs(second / first - 1) <= AGREEMENT || !mayGoOn()) return [first, second];
  const third = await log.time(shape);
  return third === null ? [first, second] : [flopPerSecond(median(sortSamples([first, second, third])))];
}

interface ShapeMedian {
  readonly shape: Shape;
  readonly rate: FlopPerSecond;
  /** Timings behind it. */
  readonly count: number;
}

function mediansOf(timed: readonly TimedShape[]): ShapeMedian[] {
  return timed.flatMap(({ shape, rates }) => {
    const runnable = rates.filter((rate) => rate !== null);
    if (runnable.length === 0) return [];
    return [{ shape, rate: flopPerSecond(median(sortSamples(runnable))), count: runnable.length }];
  });
}

/** Twice the noise of one timing: what a single timing may be too high by. */
const TIMING_ERROR = 0.03;

/**
 * The shape whose rate is highest even if its timings were lucky: its median less an error that shrinks with their
 * number. A single timing that leads narrowly is more likely lucky than best. null when no shape could be run.
 */
export function bestOf(timed: readonly TimedShape[]): SearchResult['best'] {
  const bound = ({ rate, count }: ShapeMedian): number => rate * (1 - TIMING_ERROR / Math.sqrt(count));
  const [best] = mediansOf(timed).toSorted((a, b) => bound(b) - bound(a));
  return best === undefined ? null : { shape: best.shape, rate: best.rate };
}

class TimingLog {
  readonly #time: TimeShape;
  readonly #options: SearchOptions;
  readonly #timed = new Map<string, { shape: Shape; rates: (FlopPerSecond | null)[] }>();
  evaluations = 0;

  constructor(time: TimeShape, options: SearchOptions) {
    this.#time = time;
    this.#options = options;
  }

  isOver(): boolean {
    return this.#options.isOver?.() ?? false;
  }

  async time(shape: Shape): Promise<FlopPerSecond | null> {
    const rate = await this.#time(shape);
    const label = shapeLabel(shape);
    const entry = this.#timed.get(label) ?? { shape, rates: [] };
    entry.rates.push(rate);
    this.#timed.set(label, entry);
    this.evaluations += 1;
    this.#options.onProgress?.(this.result());
    return rate;
  }

  result(): SearchResult {
    const timed = [...this.#timed.values()];
    return { timed, evaluations: this.evaluations, best: bestOf(timed) };
  }
}
