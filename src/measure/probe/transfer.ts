import { TRANSFER_DIRECTIONS, type TransferDirection } from '../../engine/index.ts';
import { median, medianInterval, sortSamples } from '../../stats/index.ts';
import {
  bytes,
  bytesPerSecond,
  KIB,
  MIB,
  seconds,
  type Bytes,
  type BytesPerSecond,
  type Seconds,
} from '../../units/index.ts';
import type { ProbedRate } from './bandwidth.ts';
import { take, type ProbeHost } from './host.ts';
import type { ProbeReading } from './record.ts';

export interface TransferPlan {
  readonly sizes: readonly Bytes[];
  readonly milliseconds: number;
}

const SMALLEST = bytes(4 * KIB);
/** A tensor of a large model; larger ones copy no faster. */
const LARGEST = bytes(256 * MIB);
const GROWTH = 4;
/** Of the memory that is free. */
const MEMORY_SHARE = 0.125;
const TRANSFER_MILLISECONDS = 80;
export const HOST_MEMORIES = ['pageable', 'pinned'] as const;
type HostMemory = (typeof HOST_MEMORIES)[number];

export function planTransfer(memoryBytes: Bytes | null): TransferPlan {
  const largest = Math.min(LARGEST, (memoryBytes ?? Number.POSITIVE_INFINITY) * MEMORY_SHARE);
  const sizes: Bytes[] = [];
  for (let size: number = SMALLEST; size <= largest; size *= GROWTH) sizes.push(bytes(size));
  return { sizes, milliseconds: TRANSFER_MILLISECONDS };
}

/** Times copies in both directions; where there is no pinned memory, that is said once. */
export async function probeTransfer(
  plan: TransferPlan,
  host: ProbeHost,
  onReading: (reading: ProbeReading, done: number, total: number) => void = () => undefined,
): Promise<ProbeReading[]> {
  const readings: ProbeReading[] = [];
  const total = TRANSFER_DIRECTIONS.length * HOST_MEMORIES.length * plan.sizes.length;
  for (const memory of HOST_MEMORIES) {
    for (const direction of TRANSFER_DIRECTIONS) {
      for (const sizeBytes of plan.sizes) {
        const planned = { kind: 'transfer', direction, memory, sizeBytes, offered: true } as const;
        const reading = await take(host, 1, planned, plan.milliseconds, async () => {
          const { milliseconds } = plan;
          const samples = await host.probe.transfer({
            device: host.device,
            direction,
            memory,
            sizeBytes,
            milliseconds,
          });
          return {
            subject: { ...planned, offered: samples !== null },
            samplesNanoseconds: [...(samples ?? [])],
          };
        });
        readings.push(reading);
        onReading(reading, readings.length, total);
        if (reading.subject.kind === 'transfer' && !reading.subject.offered) return readings;
      }
    }
  }
  return readings;
}

export interface TransferCurve {
  readonly direction: TransferDirection;
  readonly memory: HostMemory;
  readonly points: readonly {
    readonly sizeBytes: Bytes;
    readonly seconds: Seconds | null;
    readonly rate: ProbedRate<BytesPerSecond> | null;
    readonly missing: string | null;
  }[];
}

/** Readings as curves over the size. A device without pinned memory has no such curve. */
export function transferCurves(readings: readonly ProbeReading[]): TransferCurve[] {
  const curves = new Map<
    string,
    { direction: TransferDirection; memory: HostMemory; points: TransferCurve['points'][number][] }
  >();
  for (const { subject, samplesNanoseconds, failure } of readings) {
    if (subject.kind !== 'transfer' || !subject.offered) continue;
    const { direction, memory, sizeBytes } = subject;
    const key = `${direction} ${memory}`;
    const curve = curves.get(key) ?? { direction, memory, points: [] };
    curves.set(key, curve);
    if (samplesNanoseconds.length === 0) {
      curve.points.push({
        sizeBytes,
        seconds: null,
        rate: null,
        missing: failure?.sentence ?? 'nothing was timed',
      });
      continue;
    }
    const times = sortSamples(samplesNanoseconds);
    const interval = medianInterval(samplesNanoseconds);
    const rate = (time: number): BytesPerSecond => bytesPerSecond((sizeBytes / time) * 1e9);
    curve.points.push({
      sizeBytes,
      seconds: seconds(median(times) / 1e9),
      rate: {
        value: rate(median(times)),
        low: rate(interval.high),
        high: rate(interval.low),
        best: rate(times[0]),
      },
      missing: null,
    });
  }
  return [...curves.values()];
}
