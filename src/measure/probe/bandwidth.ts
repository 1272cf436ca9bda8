import { STREAM_OPERATIONS, type StreamOperation } from '../../engine/index.ts';
import { median, medianInterval, sortSamples } from '../../stats/index.ts';
import { bytes, bytesPerSecond, KIB, MIB, type Bytes, type BytesPerSecond } from '../../units/index.ts';
import { take, type ProbeHost } from './host.ts';
import type { ProbeReading } from './record.ts';

/** A rate with the 95 % interval of its median, and the best sample. */
export interface ProbedRate<Rate> {
  readonly value: Rate;
  readonly low: Rate;
  readonly high: Rate;
  readonly best: Rate;
}

export interface BandwidthPlan {
  readonly workingSets: readonly Bytes[];
  /** Thread counts, the last of them the one that everything is measured with. */
  readonly threads: readonly number[];
  readonly operations: readonly StreamOperation[];
  readonly milliseconds: number;
}

export interface BandwidthLimits {
  readonly lastLevelCacheBytes: Bytes | null;
  /** null: unknown, and limits nothing. */
  readonly memoryBytes: Bytes | null;
  /** Threads of a CPU; 1 for a device that has none of its own. */
  readonly threads: number;
}

const SMALLEST = bytes(64 * KIB);
/** The largest set exceeds the last cache so many times that what the cache keeps of it no longer counts. */
const CACHE_MULTIPLE = 8;
/** Where the cache is small: long enough for threads to get going. */
const LARGEST_AT_LEAST = bytes(128 * MIB);
/** Where the cache is unknown: more than any last-level cache of a GPU (AMD's Infinity Cache has up to 256 MB). */
const LARGEST_UNKNOWN = bytes(512 * MIB);
/** Of the memory that is free; the machine is in use. */
const MEMORY_SHARE = 0.25;
const STREAM_MILLISECONDS = 120;

/** Doubling working sets, and doubling thread counts up to all. */
export function planBandwidth({ lastLevelCacheBytes, memoryBytes, threads }: BandwidthLimits): BandwidthPlan {
  const wanted =
    lastLevelCacheBytes === null
      ? LARGEST_UNKNOWN
      : Math.max(LARGEST_AT_LEAST, lastLevelCacheBytes * CACHE_MULTIPLE);
  const largest = memoryBytes === null ? wanted : Math.min(wanted, memoryBytes * MEMORY_SHARE);
  const workingSets: Bytes[] = [];
  for (let size: number = SMALLEST; size <= largest; size *= 2) workingSets.push(bytes(size));
  const counts: number[] = [];
  for (let count = 1; count < threads; count *= 2) counts.push(count);
  return {
    workingSets,
    threads: [...counts, threads],
    operations: STREAM_OPERATIONS,
    milliseconds: STREAM_MILLISECONDS,
  };
}

/** Fewer threads than all are timed with every fourth size only: they are to show how bandwidth grows with threads. */
const SPARSE = 4;

/** Times the plan, small sets first; every reading is kept as it comes. */
export async function probeBandwidth(
  plan: BandwidthPlan,
  host: ProbeHost,
  onReading: (reading: ProbeReading, done: number, total: number) => void = () => undefined,
): Promise<ProbeReading[]> {
  const points = plan.threads.flatMap((threads, index) => {
    const isLast = index === plan.threads.length - 1;
    const sets = plan.workingSets.filter(
      (_, place) => isLast || (plan.workingSets.length - 1 - place) % SPARSE === 0,
    );
    return plan.operations.flatMap((operation) =>
      sets.map((workingSetBytes) => ({ threads, operation, workingSetBytes })),
    );
  });
  const readings: ProbeReading[] = [];
  for (const { threads, operation, workingSetBytes } of points) {
    const planned = {
      kind: 'stream',
      operation,
      workingSetBytes,
      steps: 0,
      bytesPerStep: bytes(0),
      emptyStepNanoseconds: NO_TIME,
    } as const;
    const reading = await take(host, threads, planned, plan.milliseconds, async () => {
      const { milliseconds } = plan;
      const { samplesNanoseconds, ...known } = await host.probe.stream({
        device: host.device,
        operation,
        workingSetBytes,
        threads,
        milliseconds,
      });
      return { subject: { ...planned, ...known }, samplesNanoseconds: [...samplesNanoseconds] };
    });
    readings.push(reading);
    onReading(reading, readings.length, points.length);
  }
  return readings;
}

const NO_TIME = 0 as ProbeReading['samplesNanoseconds'][number];
/** A set whose passes take less than twice an empty pass tells of the threads' meeting, not of memory. */
const LARGEST_EMPTY_SHARE = 0.5;

/** The rate of a stream without what its passes cost by themselves; null when that is most of it, or nothing was timed. */
export function streamRate({ subject, samplesNanoseconds }: ProbeReading): ProbedRate<BytesPerSecond> | null {
  if (subject.kind !== 'stream' || samplesNanoseconds.length === 0) return null;
  const { steps, bytesPerStep, emptyStepNanoseconds } = subject;
  const times = samplesNanoseconds.map((time) => time / steps);
  if (emptyStepNanoseconds > LARGEST_EMPTY_SHARE * median(sortSamples(times))) return null;
  const rates = times.map((time) => (bytesPerStep / (time - emptyStepNanoseconds)) * 1e9);
  const sorted = sortSamples(rates);
  const { low, high } = medianInterval(rates);
  return {
    value: bytesPerSecond(median(sorted)),
    low: bytesPerSecond(low),
    high: bytesPerSecond(high),
    best: bytesPerSecond(sorted.at(-1) ?? sorted[0]),
  };
}

/** Sizes of the caches that serve the threads of a probe, smallest first. */
export interface CacheLevel {
  readonly name: string;
  readonly sizeBytes: Bytes;
}

export interface BandwidthCurve {
  readonly operation: StreamOperation;
  readonly threads: number;
  readonly points: readonly {
    readonly workingSetBytes: Bytes;
    readonly rate: ProbedRate<BytesPerSecond> | null;
    readonly missing: string | null;
  }[];
}

export interface BandwidthLevel {
  /** `L2`, `memory`. */
  readonly name: string;
  readonly rates: Partial<Record<StreamOperation, ProbedRate<BytesPerSecond>>>;
}

/** Readings as curves over the working set. */
export function bandwidthCurves(readings: readonly ProbeReading[]): BandwidthCurve[] {
  const curves = new Map<
    string,
    { operation: StreamOperation; threads: number; points: BandwidthCurve['points'][number][] }
  >();
  for (const reading of readings) {
    const { subject, threads, failure } = reading;
    if (subject.kind !== 'stream') continue;
    const key = `${subject.operation} ${threads}`;
    const curve = curves.get(key) ?? { operation: subject.operation, threads, points: [] };
    curves.set(key, curve);
    const rate = streamRate(reading);
    const missing =
      rate !== null ? null : (failure?.sentence ?? 'a pass takes hardly longer than starting it');
    curve.points.push({ workingSetBytes: subject.workingSetBytes, rate, missing });
  }
  return [...curves.values()];
}

/** A set may fill so much of a cache: the rest is for whatever else runs. */
const CACHE_FILL = 0.5;
/** A set of so many times the last cache streams from memory. */
const MEMORY_MULTIPLE = 4;

/**
 * What each level of memory delivers to all threads: the best median among the working sets that fit half of the level
 * and not the level below; for memory, the median of the largest set.
 */
export function bandwidthLevels(
  curves: readonly BandwidthCurve[],
  threads: number,
  caches: readonly CacheLevel[],
): BandwidthLevel[] {
  const own = curves.filter((curve) => curve.threads === threads);
  const pick = (
    name: string,
    choose: (points: BandwidthCurve['points']) => ProbedRate<BytesPerSecond> | null,
  ): BandwidthLevel[] => {
    const rates: BandwidthLevel['rates'] = {};
    for (const { operation, points } of own) {
      const rate = choose(points);
      if (rate !== null) rates[operation] = rate;
    }
    return Object.keys(rates).length === 0 ? [] : [{ name, rates }];
  };
  const levels = caches.flatMap(({ name, sizeBytes }, index) => {
    const below = caches[index - 1]?.sizeBytes ?? 0;
    return pick(name, (points) =>
      points
        .filter(({ workingSetBytes: set }) => set > below && set <= sizeBytes * CACHE_FILL)
        .flatMap(({ rate }) => rate ?? [])
        .reduce<ProbedRate<BytesPerSecond> | null>(
          (best, rate) => (best === null || rate.value > best.value ? rate : best),
          null,
        ),
    );
  });
  const lastCache = caches.at(-1)?.sizeBytes ?? 0;
  const memory = pick('memory', (points) => {
    const largest = points.toSorted((a, b) => b.workingSetBytes - a.workingSetBytes)[0];
    return largest !== undefined && largest.workingSetBytes >= lastCache * MEMORY_MULTIPLE
      ? largest.rate
      : null;
  });
  return [...levels, ...memory];
}
