import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { gatherMachine, hashState, startTelemetry } from '../machine/host/index.ts';
import { identify, recommendedThreads, stateOf, valueOf, type MachineFacts } from '../machine/index.ts';
import type { MeasurementRecord, Observer, SweepEvent, SweepHost } from '../measure/index.ts';
import { openResultLog, openRuns, type OpenRuns, type ResultLog } from '../store/host/index.ts';
import { bytes, seconds } from '../units/index.ts';
import type { ChosenEngine } from './bench-engine.ts';
import { resultLogPath, type CliContext } from './context.ts';

/** This machine as `bench` and `check` need it. */
export interface Machine {
  readonly facts: MachineFacts;
  /** Goes into every record. */
  readonly recorded: MeasurementRecord['machine'];
  readonly threads: number;
}

/** Reads the facts of this machine and the state of it that can change a result, the engine's build included. */
export async function readMachine({ description }: ChosenEngine): Promise<Machine> {
  const facts = identify(await gatherMachine());
  const state = stateOf(facts, {
    engine: description.id,
    engineBuild:
      `${description.version ?? ''} ${description.buildCommit} ${description.buildNumber ?? ''}`.trim(),
  });
  return {
    facts,
    recorded: {
      stateHash: hashState(state),
      state: { ...state },
      ...partsOf(facts),
      memoryBytes: valueOf(facts.memory.totalBytes) ?? null,
      operatingSystem: valueOf(facts.os.name) ?? null,
    },
    threads: usualThreads(facts),
  };
}

/** What computes in a machine, as records name it. */
export function partsOf(facts: MachineFacts): Pick<MeasurementRecord['machine'], 'cpu' | 'gpus'> {
  const gpus = valueOf(facts.gpus) ?? [];
  return { cpu: valueOf(facts.cpu.model) ?? null, gpus: gpus.flatMap((gpu) => valueOf(gpu.name) ?? []) };
}

/** Where the cores cannot be counted, one thread is slow but true; the record says how many ran. */
export const usualThreads = (facts: MachineFacts): number => valueOf(recommendedThreads(facts).threads) ?? 1;

/** What the protocol needs of this computer. */
export const observer: Observer = {
  now: () => seconds(performance.now() / 1000),
  watch: (pid) => startTelemetry({ pid }),
};

/** The sweep's view of this computer: its engine, its facts, its log. */
export function sweepHost(
  chosen: ChosenEngine,
  machine: Machine,
  log: ResultLog,
  onEvent: (event: SweepEvent) => void,
): SweepHost {
  return {
    engine: chosen.engine,
    description: chosen.description,
    machine: machine.recorded,
    observer,
    append: (record) => log.append(record),
    newId: randomUUID,
    timestamp: () => new Date().toISOString(),
    // What a GPU has free is known to its driver alone, and the engine says so when it does not suffice.
    availableBytes: () => (chosen.onGpu ? null : bytes(process.availableMemory())),
    onEvent,
  };
}

/** The runs of `bench` that have not been printed yet. */
export const openBenchRuns = (context: CliContext): OpenRuns =>
  openRuns(path.join(context.paths.data, 'open-runs'));

export const openLog = (context: CliContext): ResultLog => openResultLog(resultLogPath(context.paths));
