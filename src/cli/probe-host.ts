import { randomUUID } from 'node:crypto';
import type { EngineDevice, EngineProbe } from '../engine/index.ts';
import { hashState } from '../machine/host/index.ts';
import {
  PROBE_SCHEMA_VERSION,
  probeProgress,
  subjectLabel,
  type ProbeHost,
  type ProbePart,
  type ProbeReading,
  type ProbeRecord,
} from '../measure/index.ts';
import { openProbeLog } from '../store/host/index.ts';
import type { ChosenEngine } from './bench-engine.ts';
import { observer, type Machine } from './bench-host.ts';
import { probeLogPath, type CliContext } from './context.ts';
import type { ProbeOptions } from './probe-options.ts';

const BENCHMARK = { id: 'ridgepoint.probe', version: 1 } as const;

/** One probe: where its readings go, and those that an interrupted one has left. */
export interface ProbeRun {
  readonly host: ProbeHost;
  /** Everything that belongs to this run, oldest first; grows while it goes on. */
  readonly readings: readonly ProbeReading[];
  readonly file: string;
  /** Does a part with the machine watched: this process and its children are what is measured. */
  watched(part: ProbePart, work: () => Promise<void>): Promise<void>;
  /** Marks the run as whole, so that the next one starts over. */
  end(): Promise<void>;
}

/** What every part of a probe works with. */
export interface ProbeScene {
  readonly chosen: ChosenEngine;
  readonly machine: Machine;
  readonly device: EngineDevice;
  readonly threads: number;
  readonly run: ProbeRun;
  readonly probe: EngineProbe;
}

interface ProbeSetting {
  readonly options: ProbeOptions;
  readonly chosen: ChosenEngine;
  readonly machine: Machine;
  readonly device: EngineDevice;
  readonly threads: number;
  readonly probe: EngineProbe;
}

/** Opens the log and goes on with the newest run of the same settings and state, unless that came to its end. */
export async function openProbeRun(
  { options, chosen, machine, device, threads, probe }: ProbeSetting,
  context: CliContext,
): Promise<ProbeRun> {
  const log = openProbeLog(probeLogPath(context.paths));
  const { svg: _svg, json: _json, datasheet: _datasheet, fresh, ...deciding } = options;
  const key = hashState({
    benchmark: `${BENCHMARK.id}/${BENCHMARK.version}`,
    machine: machine.recorded.stateHash,
    device: device.name,
    threads: String(threads),
    options: JSON.stringify(deciding),
  });
  const { records, damaged } = await log.readAll();
  if (damaged.length > 0)
    context.stderr(`${log.path} has ${damaged.length} damaged lines, which are left alone.`);
  const resumed = fresh ? null : probeProgress(records, key);
  const run = resumed?.run ?? randomUUID();
  const left = new Map<string, ProbeReading[]>();
  for (const reading of resumed?.readings ?? []) {
    const label = subjectLabel(reading.device, reading.threads, reading.subject);
    left.set(label, [...(left.get(label) ?? []), reading]);
  }
  if (resumed !== null) {
    context.stderr(
      `Going on with an interrupted probe: ${timingsIn(resumed.readings)} timings are done (--fresh starts over).`,
    );
  }
  const { description } = chosen;
  const readings: ProbeReading[] = [];
  const append = async (reading: ProbeReading): Promise<void> => {
    const record: ProbeRecord = {
      ...reading,
      schemaVersion: PROBE_SCHEMA_VERSION,
      id: randomUUID(),
      benchmark: BENCHMARK,
      series: { key, run },
      startedAt: new Date().toISOString(),
      machine: machine.recorded,
      engine: {
        id: description.id,
        version: description.version,
        buildCommit: description.buildCommit,
        buildNumber: description.buildNumber,
        backends: description.backends,
        cpuInfo: description.cpuInfo,
        gpuInfo: description.gpuInfo,
        ruler: description.ruler,
      },
    };
    await log.append(record);
  };
  const nothingTimed = { device: device.name, threads, samplesNanoseconds: [], failure: null };
  return {
    file: log.path,
    readings,
    host: {
      ...observer,
      probe,
      device: device.name,
      async keep(reading) {
        await append(reading);
        readings.push(reading);
      },
      recall(label) {
        const reading = left.get(label)?.shift() ?? null;
        if (reading !== null) readings.push(reading);
        return reading;
      },
    },
    async watched(part, work) {
      const window = observer.watch(process.pid);
      try {
        await work();
      } finally {
        const reading = {
          ...nothingTimed,
          subject: { kind: 'part', part } as const,
          telemetry: window?.stop() ?? null,
        };
        await append(reading);
        readings.push(reading);
      }
    },
    end: () => append({ ...nothingTimed, subject: { kind: 'end' }, telemetry: null }),
  };
}

/** Readings that timed something, which the account of a whole part does not. */
export const timingsIn = (readings: readonly ProbeReading[]): number =>
  readings.filter(({ subject }) => subject.kind !== 'part').length;
