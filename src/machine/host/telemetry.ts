import { platform } from 'node:os';
import { performance } from 'node:perf_hooks';
import { seconds } from '../../units/index.ts';
import { firstKnown, unknown } from '../fact.ts';
import {
  summarizeTelemetry,
  type Telemetry,
  type TelemetryReading,
  type TelemetrySource,
} from '../telemetry.ts';
import { linuxTelemetry } from './telemetry-linux.ts';
import { streamNvidiaSmi } from './telemetry-nvidia.ts';

export interface TelemetryOptions {
  /** The process that is measured; its children count as part of it. */
  readonly pid: number;
  /** Time between readings in milliseconds; 250 unless told. */
  readonly intervalMs?: number;
  /** Another place to read from than this machine. */
  readonly source?: TelemetrySource;
}

/** A window that is being watched; `stop` ends it and may be called once. */
export interface TelemetryWindow {
  stop(): Telemetry;
}

const DEFAULT_INTERVAL_MS = 250;

/**
 * Watches the machine until `stop`: one reading at once, one each interval, one at the end. A reading takes some tenths
 * of a millisecond; the timer keeps no process alive.
 */
export function startTelemetry(options: TelemetryOptions): TelemetryWindow {
  const source = options.source ?? hostTelemetry(options.pid);
  const readings: TelemetryReading[] = [source.read()];
  const timer = setInterval(() => readings.push(source.read()), options.intervalMs ?? DEFAULT_INTERVAL_MS);
  timer.unref();
  return {
    stop() {
      clearInterval(timer);
      readings.push(source.read());
      source.close();
      return summarizeTelemetry(readings);
    },
  };
}

function hostTelemetry(pid: number): TelemetrySource {
  const nvidia = streamNvidiaSmi();
  const base = platform() === 'linux' ? linuxTelemetry(pid) : nothingBut(platform());
  return {
    read() {
      const reading = base();
      const gpu = nvidia.latest();
      return {
        ...reading,
        gpuPowerWatts: firstKnown(reading.gpuPowerWatts, gpu.powerWatts),
        gpuClockHertz: firstKnown(reading.gpuClockHertz, gpu.clockHertz),
        gpuTemperatureCelsius: firstKnown(reading.gpuTemperatureCelsius, gpu.temperatureCelsius),
        gpuMemoryUsedBytes: firstKnown(reading.gpuMemoryUsedBytes, gpu.memoryUsedBytes),
      };
    },
    close: () => nvidia.close(),
  };
}

/** Platforms on which only the GPU is watched, through nvidia-smi where it is installed. */
function nothingBut(name: string): () => TelemetryReading {
  const absent = unknown(`is not read on ${name}`, name);
  return () => ({
    atSeconds: seconds(performance.now() / 1e3),
    cpuEnergyJoules: absent,
    gpuPowerWatts: absent,
    cpuClockHertz: absent,
    gpuClockHertz: absent,
    cpuTemperatureCelsius: absent,
    gpuTemperatureCelsius: absent,
    gpuMemoryUsedBytes: absent,
    throttleCounters: absent,
    residentBytes: absent,
    peakResidentBytes: absent,
    majorFaults: absent,
    cpuTicks: absent,
  });
}
