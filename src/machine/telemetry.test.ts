import { describe, expect, it } from 'vitest';
import { seconds } from '../units/index.ts';
import { known, unknown, valueOf } from './fact.ts';
import {
  mergeTelemetry,
  summarizeTelemetry,
  telemetrySchema,
  type CpuTicks,
  type TelemetryReading,
} from './telemetry.ts';

const ABSENT = unknown('is not installed', 'nvidia-smi');
const EMPTY: Omit<TelemetryReading, 'atSeconds'> = {
  cpuEnergyJoules: ABSENT,
  gpuPowerWatts: ABSENT,
  cpuClockHertz: ABSENT,
  gpuClockHertz: ABSENT,
  cpuTemperatureCelsius: ABSENT,
  gpuTemperatureCelsius: ABSENT,
  gpuMemoryUsedBytes: ABSENT,
  throttleCounters: ABSENT,
  residentBytes: ABSENT,
  peakResidentBytes: ABSENT,
  majorFaults: ABSENT,
  cpuTicks: ABSENT,
};
const at = (time: number, facts: Partial<TelemetryReading> = {}): TelemetryReading => ({
  ...EMPTY,
  ...facts,
  atSeconds: seconds(time),
});
const ticks = (process: number, total: number, busy: number, steal = 0) =>
  known<CpuTicks>({ process, total, busy, steal }, '/proc/stat');

describe('telemetry of a window', () => {
  it('keeps what could not be read unknown, with the reason', () => {
    const record = summarizeTelemetry([at(0), at(1)]);
    expect(record.gpuPowerWatts).toEqual(ABSENT);
    expect(record.throttleIncrements).toEqual(ABSENT);
    expect(record.majorPageFaults).toEqual(ABSENT);
    expect(record).toMatchObject({ durationSeconds: 1, readings: 2 });
  });

  it('turns energy into mean power and counters into differences', () => {
    const record = summarizeTelemetry([
      at(10, {
        cpuEnergyJoules: known(100, 'rapl'),
        majorFaults: known(5, 'stat'),
        throttleCounters: known({ fppt: 7, spl: 1 }, 'gpu_metrics'),
      }),
      at(12, {
        cpuEnergyJoules: known(220, 'rapl'),
        majorFaults: known(9, 'stat'),
        throttleCounters: known({ fppt: 10, spl: 1 }, 'gpu_metrics'),
      }),
    ]);
    expect(valueOf(record.cpuPowerWatts)).toBe(60);
    expect(valueOf(record.majorPageFaults)).toBe(4);
    expect(valueOf(record.throttleIncrements)).toEqual({ fppt: 3, spl: 0 });
  });

  it('tells lowest, mean and highest of what is of the moment', () => {
    const record = summarizeTelemetry(
      [40, 60, 80].map((watts, time) => at(time, { gpuPowerWatts: known(watts, 'hwmon') })),
    );
    expect(valueOf(record.gpuPowerWatts)).toEqual({ low: 40, mean: 60, high: 80 });
  });

  it('charges to others what the process tree did not use, and steal apart', () => {
    const record = summarizeTelemetry([
      at(0, { cpuTicks: ticks(0, 0, 0) }),
      at(1, { cpuTicks: ticks(80, 200, 100, 10) }),
    ]);
    expect(valueOf(record.otherCpuShare)).toBeCloseTo(0.1);
    expect(valueOf(record.stealShare)).toBeCloseTo(0.05);
  });

  it('takes a difference below zero, which comes of counting a little apart, for none', () => {
    const record = summarizeTelemetry([
      at(0, { cpuTicks: ticks(0, 0, 0) }),
      at(1, { cpuTicks: ticks(102, 200, 100) }),
    ]);
    expect(valueOf(record.otherCpuShare)).toBe(0);
  });

  it('states no share from a window that is too short for it', () => {
    const record = summarizeTelemetry([
      at(0, { cpuTicks: ticks(0, 0, 0) }),
      at(0.1, { cpuTicks: ticks(5, 20, 10) }),
    ]);
    expect(record.otherCpuShare).toMatchObject({ known: false, reason: expect.stringContaining('20 ticks') });
  });

  it('ends with the last reading in which the process lived', () => {
    const gone = unknown('does not exist', '/proc/<pid>/stat');
    const record = summarizeTelemetry([
      at(0, { cpuTicks: ticks(0, 0, 0), majorFaults: known(1, 'stat') }),
      at(1, { cpuTicks: ticks(100, 200, 100), majorFaults: known(3, 'stat') }),
      at(2, { cpuTicks: gone, majorFaults: gone }),
    ]);
    expect(valueOf(record.otherCpuShare)).toBe(0);
    expect(valueOf(record.majorPageFaults)).toBe(2);
  });

  it('has no difference for a counter that was read once', () => {
    const record = summarizeTelemetry([at(0, { majorFaults: known(1, 'stat') }), at(1)]);
    expect(record.majorPageFaults).toMatchObject({
      known: false,
      reason: expect.stringContaining('only once'),
    });
  });

  it('survives being written and read', () => {
    const record = summarizeTelemetry([
      at(0, { cpuTicks: ticks(0, 0, 0) }),
      at(1, { cpuTicks: ticks(80, 200, 100) }),
    ]);
    expect(telemetrySchema.parse(JSON.parse(JSON.stringify(record)))).toEqual(record);
  });
});

describe('several windows of one process', () => {
  const first = summarizeTelemetry([
    at(0, { cpuTicks: ticks(0, 0, 0), majorFaults: known(2, 'stat'), residentBytes: known(50, 'status') }),
    at(1, {
      cpuTicks: ticks(100, 200, 100),
      majorFaults: known(5, 'stat'),
      residentBytes: known(70, 'status'),
    }),
  ]);
  const second = summarizeTelemetry([
    at(5, { cpuTicks: ticks(0, 0, 0), majorFaults: known(9, 'stat'), residentBytes: known(60, 'status') }),
    at(8, {
      cpuTicks: ticks(300, 600, 600),
      majorFaults: known(10, 'stat'),
      residentBytes: known(60, 'status'),
    }),
  ]);

  it('adds counters and lengths, weights shares by time, and keeps extremes', () => {
    const merged = mergeTelemetry(first, second);
    expect(merged).toMatchObject({ durationSeconds: 4, readings: 4 });
    expect(valueOf(merged.majorPageFaults)).toBe(4);
    expect(valueOf(merged.residentBytes)).toBe(70);
    // Nothing in the one second, half of the machine in the other three.
    expect(valueOf(merged.otherCpuShare)).toBeCloseTo(0.375);
  });

  it('tells what only one of them knows, and keeps the rest unknown', () => {
    const silent = summarizeTelemetry([at(0), at(1)]);
    expect(valueOf(mergeTelemetry(silent, second).majorPageFaults)).toBe(1);
    expect(mergeTelemetry(first, second).gpuPowerWatts).toEqual(ABSENT);
  });
});
