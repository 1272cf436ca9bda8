import {
  bandwidthCurves,
  bandwidthLevels,
  gemmResults,
  type ProbeReading,
  type ProbeRecord,
} from '../measure/index.ts';
import { ownDeviceId, type OwnDevice } from '../predict/index.ts';
import { openProbeLog } from '../store/host/index.ts';
import { backendOf } from './recorded-backend.ts';
import { probeLogPath, type CliContext } from './context.ts';

/**
 * The devices of this machine as `ridgepoint probe` measured them, the newest last. All types are taken to stream as
 * plain numbers do; `calibrate` times each.
 */
export async function probedDevices(context: CliContext): Promise<OwnDevice[]> {
  const { records } = await openProbeLog(probeLogPath(context.paths)).readAll();
  const byDevice = new Map<string, ProbeRecord[]>();
  for (const record of records) {
    const key = JSON.stringify([
      record.machine.cpu,
      record.machine.gpus,
      record.device,
      record.engine.backends,
    ]);
    byDevice.set(key, [...(byDevice.get(key) ?? []), record]);
  }
  return [...byDevice.values()].flatMap((readings) => probedDevice(readings) ?? []);
}

/** null: bandwidth and products have not both been measured. */
function probedDevice(records: readonly ProbeRecord[]): OwnDevice | null {
  const last = records.at(-1);
  const backend = last === undefined ? null : backendOf(last.engine.backends);
  if (last === undefined || backend === null) return null;
  const unit = backend === 'cpu' ? 'cpu' : 'gpu';
  const name = unit === 'cpu' ? last.machine.cpu : (last.machine.gpus[0] ?? null);
  const stream = streamOf(records);
  const products = gemmResults(records).filter(({ by }) => by === 'ggml');
  if (name === null || stream === null || products.length === 0) return null;
  return {
    id: ownDeviceId(name),
    name,
    backend,
    unit,
    vendor: '',
    integrated: false,
    memoryBytes: unit === 'cpu' ? last.machine.memoryBytes : null,
    measuredAt: last.startedAt,
    fastestBytesPerSecond: stream.best,
    fastestFlopPerSecond: Math.max(...products.map(({ best }) => best.rate.best)),
    types: products.map(({ type, median, steady }) => ({
      type,
      // Over many shapes, as in a model; the best of them is the ceiling.
      flopPerSecond: steady?.sustained ?? median,
      bytesPerSecond: stream.value,
    })),
  };
}

/** How fast the largest set of numbers is read with most threads. */
function streamOf(
  readings: readonly ProbeReading[],
): { readonly value: number; readonly best: number } | null {
  const curves = bandwidthCurves(readings.filter(({ subject }) => subject.kind === 'stream'));
  const threads = Math.max(0, ...curves.map((curve) => curve.threads));
  // Without caches the only level is memory: its rate is that of the largest set.
  return bandwidthLevels(curves, threads, [])[0]?.rates.read ?? null;
}
