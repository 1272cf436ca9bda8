import { median, medianInterval, sortSamples } from '../../stats/index.ts';
import {
  flopPerSecond,
  seconds,
  type FlopPerSecond,
  type Nanoseconds,
  type Seconds,
} from '../../units/index.ts';
import type { Telemetry } from '../../machine/index.ts';
import type { ProbedRate } from './bandwidth.ts';
import { gemmRate } from './gemm.ts';
import type { ProbeReading } from './record.ts';
import { bestOf } from './search.ts';
import { operationsOf, shapeLabel, type Shape } from './shape-space.ts';

/** What a search over shapes of one type came to. */
export interface GemmResult {
  readonly by: 'ggml' | 'torch';
  readonly type: string;
  readonly environment: Readonly<Record<string, string>>;
  /** The shape that the search chose, by the median of all its timings, with the interval of its samples. */
  readonly best: { readonly shape: Shape; readonly rate: ProbedRate<FlopPerSecond> };
  /** Over the shapes that were timed, each by its median. */
  readonly median: FlopPerSecond;
  readonly geometricMean: FlopPerSecond;
  readonly shapesTimed: number;
  readonly timings: number;
  readonly failures: number;
  readonly steady: SteadyRate | null;
  readonly telemetry: Telemetry | null;
  readonly heatMap: HeatMap;
}

/** Rates over rows (M) and batch (N), each the best over the columns (K) that were timed; null where none was. */
export interface HeatMap {
  readonly rows: readonly number[];
  readonly batch: readonly number[];
  /** One list for each of `rows`, in it one rate for each of `batch`. */
  readonly flopPerSecond: readonly (readonly (FlopPerSecond | null)[])[];
}

/** How the rate of one shape goes on when there is no pause. */
export interface SteadyRate {
  /** Median of the first second. */
  readonly boost: FlopPerSecond;
  /** Median of the last three seconds, once they agree; null when the rate had not settled. */
  readonly sustained: FlopPerSecond | null;
  readonly duration: Seconds;
  /** Median of each second, in order. */
  readonly perSecond: readonly FlopPerSecond[];
}

/** Results by type and environment, in the order in which they were begun. */
export function gemmResults(readings: readonly ProbeReading[]): GemmResult[] {
  const groups = new Map<string, ProbeReading[]>();
  for (const reading of readings) {
    if (reading.subject.kind !== 'matmul') continue;
    const { by, type, environment } = reading.subject;
    const key = JSON.stringify([by, type, environment]);
    groups.set(key, [...(groups.get(key) ?? []), reading]);
  }
  return [...groups.values()].flatMap((group) => gemmResult(group) ?? []);
}

/** null when no shape could be run. */
function gemmResult(group: readonly ProbeReading[]): GemmResult | null {
  const first = group[0]?.subject;
  if (first?.kind !== 'matmul') return null;
  const shapes = new Map<string, { shape: Shape; rates: FlopPerSecond[]; samples: Nanoseconds[] }>();
  let steady: SteadyRate | null = null;
  let telemetry: Telemetry | null = null;
  let timings = 0;
  for (const reading of group) {
    const { subject, samplesNanoseconds } = reading;
    if (subject.kind !== 'matmul') continue;
    const { rows, batch, columns } = subject;
    const shape = { rows, batch, columns };
    if (subject.purpose === 'steady') {
      steady = steadyRate(shape, samplesNanoseconds);
      telemetry = reading.telemetry;
      continue;
    }
    timings += 1;
    const rate = gemmRate(reading);
    if (rate === null) continue;
    const entry = shapes.get(shapeLabel(shape)) ?? { shape, rates: [], samples: [] };
    entry.rates.push(rate);
    entry.samples.push(...samplesNanoseconds);
    shapes.set(shapeLabel(shape), entry);
  }
  const timed = [...shapes.values()].map((entry) => ({ ...entry, rate: median(sortSamples(entry.rates)) }));
  const chosen = bestOf(timed);
  const best = timed.find(({ shape }) => chosen !== null && shapeLabel(shape) === shapeLabel(chosen.shape));
  if (best === undefined) return null;
  const rates = timed.map(({ rate }) => rate);
  return {
    by: first.by,
    type: first.type,
    environment: first.environment,
    best: { shape: best.shape, rate: probedRate(best.shape, best.rate, best.samples) },
    median: flopPerSecond(median(sortSamples(rates))),
    geometricMean: flopPerSecond(
      Math.exp(rates.reduce((sum, rate) => sum + Math.log(rate), 0) / rates.length),
    ),
    shapesTimed: timed.length,
    timings,
    failures: group.filter(({ failure }) => failure !== null).length,
    steady,
    telemetry,
    heatMap: heatMap(timed),
  };
}

function probedRate(shape: Shape, value: number, samples: readonly Nanoseconds[]): ProbedRate<FlopPerSecond> {
  const rates = samples.map((time) => (operationsOf(shape) / time) * 1e9);
  const { low, high } = medianInterval(rates);
  return {
    value: flopPerSecond(value),
    low: flopPerSecond(Math.min(low, value)),
    high: flopPerSecond(Math.max(high, value)),
    best: flopPerSecond(Math.max(...rates)),
  };
}

function heatMap(timed: readonly { readonly shape: Shape; readonly rate: number }[]): HeatMap {
  const ascending = (values: readonly number[]): number[] => [...new Set(values)].toSorted((a, b) => a - b);
  const rows = ascending(timed.map(({ shape }) => shape.rows));
  const batch = ascending(timed.map(({ shape }) => shape.batch));
  return {
    rows,
    batch,
    flopPerSecond: rows.map((m) =>
      batch.map((n) => {
        const here = timed.filter(({ shape }) => shape.rows === m && shape.batch === n);
        return here.length === 0 ? null : flopPerSecond(Math.max(...here.map(({ rate }) => rate)));
      }),
    ),
  };
}

/** Seconds whose medians must agree for a rate to count as settled. */
const SETTLED_SECONDS = 3;
/** How far they may lie apart. */
const SETTLED_WITHIN = 0.02;

/** Cuts a run without pauses into seconds. A last second that is not full does not count. */
export function steadyRate(shape: Shape, samples: readonly Nanoseconds[]): SteadyRate | null {
  const perSecond: FlopPerSecond[] = [];
  let slice: number[] = [];
  let spent = 0;
  let total = 0;
  for (const time of samples) {
    slice.push(time);
    spent += time;
    total += time;
    if (spent < 1e9) continue;
    perSecond.push(flopPerSecond((operationsOf(shape) / median(sortSamples(slice))) * 1e9));
    slice = [];
    spent = 0;
  }
  const [boost] = perSecond;
  if (boost === undefined) return null;
  const last = perSecond.slice(-SETTLED_SECONDS);
  const [low, high] = [Math.min(...last), Math.max(...last)];
  const isSettled = perSecond.length > SETTLED_SECONDS && high - low <= SETTLED_WITHIN * high;
  return {
    boost,
    sustained: isSettled ? flopPerSecond(median(sortSamples(last))) : null,
    duration: seconds(total / 1e9),
    perSecond,
  };
}
