import { EngineFailure, type EngineProbe } from '../../engine/index.ts';
import type { Observer } from '../protocol.ts';
import type { ProbeReading, ProbeSubject } from './record.ts';

/** What a probe needs of the machine that it runs on. */
export interface ProbeHost extends Observer {
  readonly probe: EngineProbe;
  /** The engine's name of the device. */
  readonly device: string;
  /** Keeps a reading the moment that it exists. */
  keep(reading: ProbeReading): Promise<void>;
  /** The next reading of this label that an interrupted run left; each is given once. */
  recall(label: string): ProbeReading | null;
}

/** What tells the readings of one run apart, whatever was found. */
export function subjectLabel(device: string, threads: number, subject: ProbeSubject): string {
  const where = `${device}/${threads}`;
  switch (subject.kind) {
    case 'matmul': {
      const { by, type, rows, batch, columns, purpose, environment } = subject;
      const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
      return [where, by, type, rows, batch, columns, purpose, ...variables].join(' ');
    }
    case 'stream':
      return [where, subject.operation, subject.workingSetBytes].join(' ');
    case 'transfer':
      return [where, subject.direction, subject.memory, subject.sizeBytes].join(' ');
    case 'part':
      return `${where} ${subject.part}`;
    case 'end':
      return 'end';
  }
}

/** Shorter runs are over before a sensor has answered twice; the machine is watched over the whole part anyway. */
const WATCHED_MILLISECONDS = 1000;

/** What one timing gave: its samples, and what became known of the subject with them. */
interface Timing {
  readonly subject: ProbeSubject;
  readonly samplesNanoseconds: ProbeReading['samplesNanoseconds'];
}

/**
 * Times one subject and keeps the reading, or takes it from the interrupted run. A failure of the engine is a reading
 * as well.
 * @param milliseconds - how long it will go on; the process is watched during long ones.
 */
export async function take(
  host: ProbeHost,
  threads: number,
  planned: ProbeSubject,
  milliseconds: number,
  time: () => Promise<Timing>,
): Promise<ProbeReading> {
  const recalled = host.recall(subjectLabel(host.device, threads, planned));
  if (recalled !== null) return recalled;
  const { processId } = host.probe;
  const window = processId === null || milliseconds < WATCHED_MILLISECONDS ? null : host.watch(processId);
  let reading: ProbeReading = {
    device: host.device,
    threads,
    subject: planned,
    samplesNanoseconds: [],
    telemetry: null,
    failure: null,
  };
  try {
    reading = { ...reading, ...(await time()) };
  } catch (error) {
    if (!(error instanceof EngineFailure)) throw error;
    reading = { ...reading, failure: { kind: error.kind, sentence: error.message } };
  } finally {
    const telemetry = window?.stop() ?? null;
    reading = { ...reading, telemetry };
  }
  await host.keep(reading);
  return reading;
}
