import { z } from 'zod';
import { bytes, fraction, seconds, watts, type Fraction, type Seconds, type Watts } from '../units/index.ts';
import { known, unknown, type Fact } from './fact.ts';
import { bytesFactSchema, factSchema } from './facts.ts';

/** Ticks of the process tree and of the machine at one moment, read together. */
export interface CpuTicks {
  readonly process: number;
  readonly total: number;
  readonly busy: number;
  readonly steal: number;
}

/** One reading of everything that tells how the machine fares. Counters only grow; the others are of the moment. */
export interface TelemetryReading {
  /** Monotonic time. */
  readonly atSeconds: Seconds;
  /** A counter; its wrap is already undone. */
  readonly cpuEnergyJoules: Fact<number>;
  readonly gpuPowerWatts: Fact<number>;
  readonly cpuClockHertz: Fact<number>;
  readonly gpuClockHertz: Fact<number>;
  readonly cpuTemperatureCelsius: Fact<number>;
  readonly gpuTemperatureCelsius: Fact<number>;
  readonly gpuMemoryUsedBytes: Fact<number>;
  readonly throttleCounters: Fact<Readonly<Record<string, number>>>;
  readonly residentBytes: Fact<number>;
  readonly peakResidentBytes: Fact<number>;
  /** A counter. */
  readonly majorFaults: Fact<number>;
  /** Counters. */
  readonly cpuTicks: Fact<CpuTicks>;
}

/** Where readings come from; `close` ends whatever runs for it. */
export interface TelemetrySource {
  read(): TelemetryReading;
  close(): void;
}

const spreadSchema = z.object({ low: z.number(), mean: z.number(), high: z.number() });
/** Lowest, mean and highest reading, in the unit that the key of the record names. */
type Spread = z.infer<typeof spreadSchema>;

/** How the machine fared during a timed window. */
export const telemetrySchema = z.object({
  durationSeconds: z.number().nonnegative().transform(seconds),
  readings: z.number().int().nonnegative(),
  cpuPowerWatts: factSchema(z.number().transform(watts)),
  gpuPowerWatts: factSchema(spreadSchema),
  cpuClockHertz: factSchema(spreadSchema),
  gpuClockHertz: factSchema(spreadSchema),
  cpuTemperatureCelsius: factSchema(spreadSchema),
  gpuTemperatureCelsius: factSchema(spreadSchema),
  /** How much each throttle counter grew, in the counter's own unit. */
  throttleIncrements: factSchema(z.record(z.string(), z.number())),
  residentBytes: bytesFactSchema,
  peakResidentBytes: bytesFactSchema,
  gpuMemoryUsedBytes: bytesFactSchema,
  majorPageFaults: factSchema(z.number().int().nonnegative()),
  /** Share of all processor time that went to anything but the measured process tree. */
  otherCpuShare: factSchema(z.number().min(0).max(1).transform(fraction)),
  /** Share of all processor time that the hypervisor gave to somebody else. */
  stealShare: factSchema(z.number().min(0).max(1).transform(fraction)),
});
export type Telemetry = z.infer<typeof telemetrySchema>;

/** Fewest ticks of all processors together that a share is stated from: with 50 its resolution is 2 %. */
const MIN_TICKS = 50;

/** Puts the readings of a window together. What the process did is told up to the last reading in which it lived. */
export function summarizeTelemetry(readings: readonly TelemetryReading[]): Telemetry {
  const first = readings[0];
  const last = readings.at(-1);
  const [otherCpuShare, stealShare] = cpuShares(readings);
  return {
    durationSeconds: seconds(
      first === undefined || last === undefined ? 0 : last.atSeconds - first.atSeconds,
    ),
    readings: readings.length,
    cpuPowerWatts: meanPower(readings),
    gpuPowerWatts: spreadOf(readings, (reading) => reading.gpuPowerWatts),
    cpuClockHertz: spreadOf(readings, (reading) => reading.cpuClockHertz),
    gpuClockHertz: spreadOf(readings, (reading) => reading.gpuClockHertz),
    cpuTemperatureCelsius: spreadOf(readings, (reading) => reading.cpuTemperatureCelsius),
    gpuTemperatureCelsius: spreadOf(readings, (reading) => reading.gpuTemperatureCelsius),
    throttleIncrements: throttleIncrements(readings),
    residentBytes: highest(readings, (reading) => reading.residentBytes),
    peakResidentBytes: highest(readings, (reading) => reading.peakResidentBytes),
    gpuMemoryUsedBytes: highest(readings, (reading) => reading.gpuMemoryUsedBytes),
    majorPageFaults: increment(readings, (reading) => reading.majorFaults),
    otherCpuShare,
    stealShare,
  };
}

/**
 * One record of several windows, of the same process and apart in time: counters add up, shares and powers are weighted
 * by the windows' lengths, extremes are the extremes of all. What one window does not know, the others tell.
 */
export function mergeTelemetry(a: Telemetry, b: Telemetry): Telemetry {
  const weighted = <T extends number>(first: T, second: T): T =>
    ((first * a.durationSeconds + second * b.durationSeconds) / (a.durationSeconds + b.durationSeconds)) as T;
  const spread = (first: Spread, second: Spread): Spread => ({
    low: Math.min(first.low, second.low),
    mean: (first.mean * a.readings + second.mean * b.readings) / (a.readings + b.readings),
    high: Math.max(first.high, second.high),
  });
  const larger = <T extends number>(first: T, second: T): T => (first > second ? first : second);
  const sum = (first: number, second: number): number => first + second;
  return {
    durationSeconds: seconds(a.durationSeconds + b.durationSeconds),
    readings: a.readings + b.readings,
    cpuPowerWatts: both(a.cpuPowerWatts, b.cpuPowerWatts, weighted),
    gpuPowerWatts: both(a.gpuPowerWatts, b.gpuPowerWatts, spread),
    cpuClockHertz: both(a.cpuClockHertz, b.cpuClockHertz, spread),
    gpuClockHertz: both(a.gpuClockHertz, b.gpuClockHertz, spread),
    cpuTemperatureCelsius: both(a.cpuTemperatureCelsius, b.cpuTemperatureCelsius, spread),
    gpuTemperatureCelsius: both(a.gpuTemperatureCelsius, b.gpuTemperatureCelsius, spread),
    throttleIncrements: both(a.throttleIncrements, b.throttleIncrements, (first, second) => {
      const names = [...new Set([...Object.keys(first), ...Object.keys(second)])];
      // A counter that one window lacks did not grow in it.
      return Object.fromEntries(names.map((name) => [name, (first[name] ?? 0) + (second[name] ?? 0)]));
    }),
    residentBytes: both(a.residentBytes, b.residentBytes, larger),
    peakResidentBytes: both(a.peakResidentBytes, b.peakResidentBytes, larger),
    gpuMemoryUsedBytes: both(a.gpuMemoryUsedBytes, b.gpuMemoryUsedBytes, larger),
    majorPageFaults: both(a.majorPageFaults, b.majorPageFaults, sum),
    otherCpuShare: both(a.otherCpuShare, b.otherCpuShare, weighted),
    stealShare: both(a.stealShare, b.stealShare, weighted),
  };
}

function both<T>(a: Fact<T>, b: Fact<T>, merge: (first: T, second: T) => T): Fact<T> {
  if (!a.known) return b;
  return b.known ? known(merge(a.value, b.value), b.source) : a;
}

interface At<T> {
  readonly atSeconds: Seconds;
  readonly value: T;
  readonly source: string;
}

/** The readings in which something was known; else the last reason that was given. */
function knownReadings<T>(
  readings: readonly TelemetryReading[],
  pick: (reading: TelemetryReading) => Fact<T>,
): { readonly found: readonly At<T>[]; readonly missing: ReturnType<typeof unknown> } {
  const found: At<T>[] = [];
  let missing = unknown('nothing was read', 'telemetry');
  for (const reading of readings) {
    const fact = pick(reading);
    if (fact.known) found.push({ atSeconds: reading.atSeconds, value: fact.value, source: fact.source });
    else missing = fact;
  }
  return { found, missing };
}

/** The first and the last reading of a counter; one reading alone has no difference. */
function ends<T>(
  readings: readonly TelemetryReading[],
  pick: (reading: TelemetryReading) => Fact<T>,
): Fact<readonly [At<T>, At<T>]> {
  const { found, missing } = knownReadings(readings, pick);
  const first = found[0];
  const last = found.at(-1);
  if (first === undefined || last === undefined) return missing;
  return first === last
    ? unknown('was read only once, which gives no difference', first.source)
    : known([first, last], first.source);
}

function spreadOf(
  readings: readonly TelemetryReading[],
  pick: (reading: TelemetryReading) => Fact<number>,
): Fact<Spread> {
  const { found, missing } = knownReadings(readings, pick);
  const source = found[0]?.source;
  if (source === undefined) return missing;
  let sum = 0;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const { value } of found) {
    sum += value;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return known({ low, mean: sum / found.length, high }, source);
}

function highest(readings: readonly TelemetryReading[], pick: (reading: TelemetryReading) => Fact<number>) {
  const spread = spreadOf(readings, pick);
  return spread.known ? known(bytes(spread.value.high), spread.source) : spread;
}

function increment(
  readings: readonly TelemetryReading[],
  pick: (reading: TelemetryReading) => Fact<number>,
): Fact<number> {
  const pair = ends(readings, pick);
  if (!pair.known) return pair;
  const [first, last] = pair.value;
  const difference = last.value - first.value;
  return difference < 0 ? unknown('the counter went back', pair.source) : known(difference, pair.source);
}

function meanPower(readings: readonly TelemetryReading[]): Fact<Watts> {
  const energy = increment(readings, (reading) => reading.cpuEnergyJoules);
  const pair = ends(readings, (reading) => reading.cpuEnergyJoules);
  if (!energy.known) return energy;
  if (!pair.known) return pair;
  const [first, last] = pair.value;
  const duration = last.atSeconds - first.atSeconds;
  return duration > 0
    ? known(watts(energy.value / duration), energy.source)
    : unknown('no time passed between the readings', energy.source);
}

function throttleIncrements(readings: readonly TelemetryReading[]): Fact<Record<string, number>> {
  const pair = ends(readings, (reading) => reading.throttleCounters);
  if (!pair.known) return pair;
  const [first, last] = pair.value;
  const grown: Record<string, number> = {};
  for (const [name, value] of Object.entries(last.value)) {
    const before = first.value[name];
    if (before !== undefined && value >= before) grown[name] = value - before;
  }
  return known(grown, pair.source);
}

/**
 * What the rest of the machine used. Ticks of the process are counted a little apart from those of the machine, so a
 * difference below zero is none.
 */
function cpuShares(readings: readonly TelemetryReading[]): [Fact<Fraction>, Fact<Fraction>] {
  const pair = ends(readings, (reading) => reading.cpuTicks);
  if (!pair.known) return [pair, pair];
  const [{ value: first }, { value: last }] = pair.value;
  const total = last.total - first.total;
  if (total < MIN_TICKS) {
    const short = unknown(
      `the window has ${total} ticks of processor time, fewer than ${MIN_TICKS}`,
      pair.source,
    );
    return [short, short];
  }
  const other = last.busy - first.busy - (last.process - first.process);
  const clamp = (value: number): Fraction => fraction(Math.min(1, Math.max(0, value / total)));
  return [known(clamp(other), pair.source), known(clamp(last.steal - first.steal), pair.source)];
}
