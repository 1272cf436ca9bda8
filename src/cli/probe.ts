import { writeFile } from 'node:fs/promises';
import { readDeviceRecords, readModelRecords, readPublishedReadings } from '../catalog/host/index.ts';
import { CatalogNameError, resolveModelName } from '../catalog/index.ts';
import type { EngineDevice } from '../engine/index.ts';
import { matchCatalogue, valueOf, type CatalogueMatch } from '../machine/index.ts';
import {
  measuredSpeeds,
  planBandwidth,
  planTransfer,
  probeBandwidth,
  probeTransfer,
  type CacheLevel,
  type ModelWork,
  type ProbePart,
} from '../measure/index.ts';
import {
  activeParameterCount,
  activeWeightBytesPerToken,
  isMixName,
  MIX_NAMES,
  shapeOf,
  weightBytes,
} from '../model/index.ts';
import { buildProbeReport, renderProbeText, rooflineSvg, type ProbeReport } from '../report/index.ts';
import { bytes, seconds, type Bytes } from '../units/index.ts';
import { chooseEngine, weightMemory, type ChosenEngine } from './bench-engine.ts';
import { openLog, readMachine, type Machine } from './bench-host.ts';
import { readConfig } from './config.ts';
import type { CliContext } from './context.ts';
import { CommandFailure, type ExitCode } from './exit.ts';
import { printJson } from './output.ts';
import { probeProducts, probeTorch } from './probe-gemm.ts';
import { openProbeRun, timingsIn, type ProbeScene } from './probe-host.ts';
import type { ProbeOptions } from './probe-options.ts';
import { startProbeProgress, type ProbeProgress } from './probe-progress.ts';
import { packageVersion } from './version.ts';

/** Measures the ceilings of one device, and reports them beside the datasheet. */
export async function runProbe(options: ProbeOptions, context: CliContext): Promise<ExitCode> {
  const start = performance.now();
  const chosen = await chooseEngine({ kind: 'embedded' }, options.backend, context);
  const { embedded, description } = chosen;
  if (embedded === null) throw new CommandFailure('Only the embedded engine can be probed.');
  const device = deviceOf(chosen, options);
  const machine = await readMachine(chosen);
  const match = await catalogueMatchOf(machine, device, options, context);
  const threads = options.threads ?? machine.threads;
  const probe = embedded.probe(context.signal);
  const run = await openProbeRun({ options, chosen, machine, device, threads, probe }, context);
  const notes: string[] = [];
  let interrupted = false;
  try {
    await probeParts(options, { chosen, machine, device, threads, run, probe }, notes, context);
    await run.end();
  } catch (error) {
    if (!context.signal.aborted) throw error;
    interrupted = true;
  } finally {
    await probe.end();
  }
  const report = buildProbeReport({
    createdAt: new Date().toISOString(),
    ridgepointVersion: packageVersion(),
    machine: machine.facts,
    engine: description,
    device,
    threads: device.kind === 'cpu' ? threads : 1,
    parts: options.parts,
    readings: run.readings,
    caches: cachesOf(machine, device),
    catalogueMatch: match,
    published: readPublishedReadings(),
    speeds: await speedsOf(machine, context),
    notes,
    interrupted,
    recordsFile: run.file,
    durationSeconds: seconds((performance.now() - start) / 1000),
  });
  if (options.json) printJson(context, report);
  else context.stdout(renderProbeText(report, context.colors.bold));
  if (options.svg !== null) await writeSvg(options.svg, report, context);
  if (interrupted) {
    context.stderr(
      `Stopped; ${timingsIn(run.readings)} timings are kept. The same command goes on from here; --fresh starts over.`,
    );
    context.signal.throwIfAborted();
  }
  const failed = run.readings.filter(({ failure }) => failure !== null).length;
  if (failed === 0) return 0;
  context.stderr(`${failed} timings failed; ${run.file} says how.`);
  return 1;
}

async function probeParts(
  options: ProbeOptions,
  scene: ProbeScene,
  notes: string[],
  context: CliContext,
): Promise<void> {
  const { chosen, machine, device, threads, run } = scene;
  const isCpu = device.kind === 'cpu';
  const memoryBytes = isCpu ? bytes(process.availableMemory()) : (device.freeBytes ?? weightMemory(chosen));
  const within = (size: Bytes): boolean => options.largest === null || size <= options.largest;
  const parts: Readonly<Record<ProbePart, () => Promise<void>>> = {
    bandwidth: async () => {
      const limits = {
        lastLevelCacheBytes: cachesOf(machine, device).at(-1)?.sizeBytes ?? null,
        memoryBytes,
        threads: isCpu ? threads : 1,
      };
      const plan = planBandwidth(limits);
      const workingSets = plan.workingSets.filter(within);
      await withProgress('bandwidth', (progress) =>
        probeBandwidth({ ...plan, workingSets }, run.host, progress.reading),
      );
    },
    gemm: async () => {
      await probeProducts(options, scene, context);
      if (options.withTorch) notes.push(...(await probeTorch(options, scene, context)));
    },
    transfer: async () => {
      const plan = planTransfer(memoryBytes);
      const sizes = plan.sizes.filter(within);
      await withProgress('transfer', (progress) =>
        probeTransfer({ ...plan, sizes }, run.host, progress.reading),
      );
    },
  };
  for (const part of options.parts) await run.watched(part, parts[part]);

  async function withProgress(
    name: string,
    work: (progress: ProbeProgress) => Promise<unknown>,
  ): Promise<void> {
    const progress = startProbeProgress(name, context);
    try {
      await work(progress);
    } finally {
      progress.stop();
    }
  }
}

/** @throws CommandFailure when the engine has no device of that name. */
function deviceOf({ description, onGpu }: ChosenEngine, { device, backend }: ProbeOptions): EngineDevice {
  const { devices } = description;
  const found =
    device === null
      ? // A GPU build lists the CPU as well; whoever asks for a GPU means the GPU.
        (devices.find(({ kind }) => (kind === 'cpu') !== (onGpu || (backend ?? 'cpu') !== 'cpu')) ??
        devices[0])
      : devices.find(({ name }) => name === device);
  if (found !== undefined) return found;
  const names = devices.map(({ name }) => name).join(', ');
  throw new CommandFailure(
    device === null
      ? 'The engine sees no device; ridgepoint engines lists what each engine sees.'
      : `The engine ${description.id} has no device ${device}, but ${names}; another --backend may see it.`,
  );
}

/** The caches that the threads share out among them; what a GPU's are is not read. */
function cachesOf({ facts }: Machine, device: EngineDevice): CacheLevel[] {
  if (device.kind !== 'cpu') return [];
  const { cpu } = facts;
  return [
    { name: 'L1', size: valueOf(cpu.l1dTotalBytes) },
    { name: 'L2', size: valueOf(cpu.l2TotalBytes) },
    { name: 'L3', size: valueOf(cpu.l3TotalBytes) },
  ].flatMap(({ name, size }) => (size === undefined || size === 0 ? [] : [{ name, sizeBytes: size }]));
}

/**
 * The entry of the catalogue that describes the probed part of this machine; the user's own choice goes first.
 * @throws CommandFailure when that is no entry, or describes another part.
 */
async function catalogueMatchOf(
  { facts }: Machine,
  device: EngineDevice,
  { datasheet }: ProbeOptions,
  context: CliContext,
): Promise<CatalogueMatch | null> {
  const part = device.kind === 'cpu' ? 'cpu' : 'gpu';
  const config = await readConfig(context.paths);
  try {
    const matches = matchCatalogue(facts, readDeviceRecords(), datasheet ?? config.device);
    const match = matches.find((each) => each.part === part) ?? null;
    if (datasheet !== null && match?.chosenBy !== 'override') {
      const kinds = part === 'cpu' ? ['a GPU', 'a processor'] : ['a processor', 'a GPU'];
      throw new CommandFailure(
        `--datasheet ${datasheet} describes ${kinds[0]}, but ${device.name}, which is probed, is ${kinds[1]}.`,
      );
    }
    return match;
  } catch (error) {
    if (error instanceof CatalogNameError) throw new CommandFailure(error.message, { cause: error });
    throw error;
  }
}

/** Models of the catalogue that were measured here, as points of the roofline. */
async function speedsOf(machine: Machine, context: CliContext): Promise<ReturnType<typeof measuredSpeeds>> {
  const { records } = await openLog(context).readAll();
  const catalogue = readModelRecords();
  const workOf = (name: string): ModelWork | null => {
    try {
      const { record, quantisation } = resolveModelName(name, catalogue, MIX_NAMES);
      if (!isMixName(quantisation)) return null;
      const shape = shapeOf(record);
      return {
        activeParameters: activeParameterCount(shape),
        weightBytes: weightBytes(shape, quantisation),
        activeWeightBytes: activeWeightBytesPerToken(shape, quantisation),
      };
    } catch {
      // A file of the user's own: what of it is active is not in the record.
      return null;
    }
  };
  return measuredSpeeds(records, machine.recorded.stateHash, workOf);
}

async function writeSvg(file: string, report: ProbeReport, context: CliContext): Promise<void> {
  if ('missing' in report.roofline) {
    context.stderr(`${file} was not written: for a roofline, ${report.roofline.missing}.`);
    return;
  }
  const picture = rooflineSvg(report.roofline.found, `Roofline of ${report.device.description}`);
  if (picture !== null) await writeFile(file, picture);
}
