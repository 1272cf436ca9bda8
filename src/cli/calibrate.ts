import { gatherMachine } from '../machine/host/index.ts';
import { identify, valueOf } from '../machine/index.ts';
import { MIX_TYPES, type MeasurementRecord, type TimedSample } from '../measure/index.ts';
import type { OwnDevice, Predictor } from '../predict/index.ts';
import { writeCalibration } from '../predict/host/index.ts';
import {
  bytesPerSecond,
  flopPerSecond,
  formatBandwidth,
  formatFlopPerSecond,
  formatSignificant,
  seconds,
} from '../units/index.ts';
import { chooseEngine, type ChosenEngine } from './bench-engine.ts';
import { openLog, partsOf, readMachine, usualThreads, type Machine } from './bench-host.ts';
import {
  computingPart,
  ownDevice,
  timeRound,
  type ComputingPart,
  type DeviceRound,
} from './calibrate-device.ts';
import { calibrationFrom, lessonOf, lessonRecords, type Lesson } from './calibrate-lessons.ts';
import { backendOf } from './recorded-backend.ts';
import { DENSE_MODEL, measurePoints, planCalibration } from './calibrate-points.ts';
import { openCache } from './cache.ts';
import { calibrationPath, type CliContext } from './context.ts';
import { CommandFailure, type ExitCode } from './exit.ts';
import { printDocument, printTable } from './output.ts';
import { loadSample, timeTypes } from './type-samples.ts';
import type { CalibrateFlags } from './prediction-options.ts';
import { openModel } from './prediction-model.ts';
import {
  openPredictor,
  openTarget,
  ownMeasurements,
  targetOfOwn,
  type OwnMeasurements,
  type Target,
} from './prediction-target.ts';

/** Measures three points, or takes what was measured, and keeps what they teach about this machine. */
export async function runCalibrate(flags: CalibrateFlags, context: CliContext): Promise<ExitCode> {
  const file = calibrationPath(context.paths);
  // A file that cannot be read is said so before minutes are spent on measuring.
  const before = ownMeasurements(context);
  const predictor = openPredictor(context, []);
  const { target, own, records } =
    flags.fromRecords === true
      ? await fromRecords(flags, before, context)
      : await measured(flags, predictor, context).catch((error: unknown) => {
          if (context.signal.aborted) {
            context.stderr(
              'Stopped; the points that are done are kept, and the predictions are as before. The same command goes on from there.',
            );
          }
          throw error;
        });
  const lessons: Lesson[] = [];
  for (const record of records) {
    // The record of a file that has gone since says nothing any more; names of the catalogue stay.
    const model = await openModel(record.model.name, context).catch(() => null);
    const lesson = model === null ? null : lessonOf(record, model, target, predictor);
    if (lesson !== null) lessons.push(lesson);
  }
  const failures = records.filter(({ outcome }) => outcome !== 'measured');
  if (lessons.length === 0) {
    throw new CommandFailure(
      failures[0]?.failure?.sentence ??
        'Nothing was measured here that predictions could learn from; run ridgepoint calibrate without --from-records.',
    );
  }
  const calibration = calibrationFrom(lessons, target, new Date().toISOString());
  await writeCalibration(file, calibration, own);
  if (flags.json === true) {
    printDocument(context, 'calibration', {
      calibration,
      ...(own === null ? {} : { device: own }),
      file,
      points: lessons.map(({ name, test, depth, measuredSpeed, predictedSpeed }) => ({
        model: name,
        test: test.metric,
        depthTokens: depth,
        measuredTokensPerSecond: measuredSpeed,
        predictedTokensPerSecond: predictedSpeed,
      })),
    });
  } else printLessons(lessons, target, own, context);
  if (failures.length === 0) return 0;
  context.stderr(
    `${failures.length} points could not be measured, and the calibration is without them; ridgepoint results --json says why.`,
  );
  return 1;
}

/** Six points make three rounds of products, with the one before them. */
const POINTS_PER_ROUND = 3;

/** What a calibration is made from. */
interface Evidence {
  readonly target: Target;
  /** The device where it is one of no catalogue. */
  readonly own: OwnDevice | null;
  readonly records: readonly MeasurementRecord[];
}

async function measured(flags: CalibrateFlags, predictor: Predictor, context: CliContext): Promise<Evidence> {
  const chosen = await chooseEngine(flags.engine, flags.backend ?? null, context);
  const machine = await readMachine(chosen);
  const backend = flags.backend ?? backendOf(chosen.description.backends) ?? 'cpu';
  const part = unlistedPart(machine.facts, backend, flags);
  const rounds: DeviceRound[] = [];
  const round = async (): Promise<void> => {
    if (part !== null) await addRound(rounds, part.unit, chosen, machine, context);
  };
  await round();
  const early = part === null ? null : ownDevice(part, backend, rounds);
  const target =
    early === null ? await openTarget(flags.machine, backend) : targetOfOwn(early, 'this machine');
  const dense = await openModel(DENSE_MODEL, context);
  const plan = planCalibration((tokens) =>
    target.device.peaks.fp16 === null && target.device.peaks.fp32 === null
      ? seconds(0)
      : predictor.predict(
          dense.configurationOn(target, { depth: 0, ubatch: null, flashAttention: null, cacheType: null }),
          { metric: 'prompt', tokens },
          dense.id,
        ).seconds,
  );
  // Again among the points: the products see the machine in the same minutes as they do, slow ones and fast ones.
  let points = 0;
  const records = await measurePoints(plan, chosen, machine, context, async () => {
    points += 1;
    if (points % POINTS_PER_ROUND === 0) await round();
  });
  const own =
    part === null
      ? null
      : ownDevice(part, backend, rounds, await typesOnProcessor(part.unit, chosen, machine, context));
  return { target: own === null ? target : targetOfOwn(own, 'this machine'), own, records };
}

/** The part that has to be measured, because no catalogue describes it; null where one does. */
function unlistedPart(facts: Machine['facts'], backend: string, flags: CalibrateFlags): ComputingPart | null {
  if (flags.machine !== undefined) return null;
  const unit = backend === 'cpu' ? 'cpu' : 'gpu';
  const part = computingPart(facts, unit);
  if (part === null) {
    throw new CommandFailure(
      `The facts of this machine do not name its ${unit === 'cpu' ? 'processor' : 'GPU'}; say what it is like with --machine.`,
    );
  }
  return part.listed === null ? part : null;
}

async function addRound(
  rounds: DeviceRound[],
  unit: ComputingPart['unit'],
  { embedded }: ChosenEngine,
  machine: Machine,
  context: CliContext,
): Promise<void> {
  if (embedded === null) {
    throw new CommandFailure(
      'A llama-bench cannot time single products, which a device that is not in the catalogue needs: leave --engine out, or name a similar device with --machine.',
    );
  }
  if (rounds.length === 0) {
    context.stderr(
      context.errorColors.dim(
        'Timing matrix products with weights of each type, here and among the points ...',
      ),
    );
  }
  const probe = embedded.probe(context.signal);
  try {
    const cache = valueOf(machine.facts.cpu.l3TotalBytes) ?? null;
    rounds.push(await timeRound(probe, machine.threads, cache, MIX_TYPES, unit, context.signal));
  } finally {
    await probe.end();
  }
}

/** Types that hardly any file of today is made of, and that take the most disk. */
const NOT_SAMPLED: ReadonlySet<string> = new Set(['F16', 'BF16']);
const SAMPLE_LIMITS = { loadMilliseconds: 10 * 60_000, repetitionMilliseconds: 5 * 60_000 } as const;

/**
 * What layers of a model take in each type. A processor reads weights that it does not repack from the file's pages,
 * which no product in memory of its own shows; on a GPU the two are one.
 */
async function typesOnProcessor(
  unit: ComputingPart['unit'],
  { embedded }: ChosenEngine,
  machine: Machine,
  context: CliContext,
): Promise<TimedSample[]> {
  if (unit !== 'cpu' || embedded === null) return [];
  context.stderr(context.errorColors.dim('Timing layers of a model in each type of weights ...'));
  const cache = await openCache(context);
  const types = MIX_TYPES.filter((type) => !NOT_SAMPLED.has(type));
  return timeTypes(types, (sample) =>
    loadSample(sample, embedded, cache, machine.threads, SAMPLE_LIMITS, context.signal),
  );
}

async function fromRecords(
  flags: CalibrateFlags,
  kept: OwnMeasurements,
  context: CliContext,
): Promise<Evidence> {
  const { records } = await openLog(context).readAll();
  const newest = records.findLast(({ outcome }) => outcome === 'measured');
  const backend = flags.backend ?? backendOf(newest?.engine.backends ?? '') ?? 'cpu';
  const facts = identify(await gatherMachine());
  const target = await openTarget(flags.machine, backend, kept);
  return {
    target,
    own:
      [...(await kept.probed()), ...(kept.devices ?? [])].findLast(({ id }) => id === target.device.id) ??
      null,
    records: lessonRecords(records, { machine: partsOf(facts), backend, threads: usualThreads(facts) }),
  };
}

function printLessons(
  lessons: readonly Lesson[],
  target: Target,
  own: OwnDevice | null,
  context: CliContext,
): void {
  printTable(
    context,
    [
      { title: 'model' },
      { title: 'test' },
      { title: 'measured', align: 'right' },
      { title: 'predicted before', align: 'right' },
    ],
    lessons.map(({ name, test, depth, measuredSpeed, predictedSpeed }) => [
      name,
      `${test.metric === 'prompt' ? `pp${test.tokens}` : 'tg'}${depth === 0 ? '' : ` at depth ${depth}`}`,
      formatSignificant(measuredSpeed),
      formatSignificant(predictedSpeed),
    ]),
  );
  if (own !== null) {
    context.stdout(
      `\n${own.name} is not in the catalogue: its roofs are the fastest products that were measured, ${formatBandwidth(bytesPerSecond(own.fastestBytesPerSecond))} and ${formatFlopPerSecond(flopPerSecond(own.fastestFlopPerSecond))}.`,
    );
  }
  const whose = own === null ? `${target.device.id} with ${target.backend.exact}` : 'this machine';
  context.stdout(
    `\nCalibrated: predictions for ${whose} follow these ${lessons.length} measurements from now on. What it can run: ridgepoint predict qwen3-8b:Q4_K_M`,
  );
}
