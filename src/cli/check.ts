import { randomUUID } from 'node:crypto';
import { readModelRecords } from '../catalog/host/index.ts';
import { resolveModelName } from '../catalog/index.ts';
import { hashState } from '../machine/host/index.ts';
import { valueOf } from '../machine/index.ts';
import {
  ceilingProducts,
  ceilingsOf,
  LayerPlanError,
  planCheck,
  runSweep,
  sweepPoints,
  usualSettings,
  type Ceilings,
  type CheckPlan,
  type LayerLimits,
  type MeasurementRecord,
  type SweepHost,
} from '../measure/index.ts';
import {
  activeParameterCount,
  activeWeightBytesPerToken,
  isMixName,
  MIX_NAMES,
  parameterCount,
  shapeOf,
  weightBytes,
  type MixName,
  type ModelShape,
} from '../model/index.ts';
import {
  buildCheckReport,
  renderCheckMarkdown,
  renderCheckText,
  testName,
  type CheckReport,
  type CheckRun,
} from '../report/index.ts';
import { bytesPerSecond, flopPerSecond, seconds } from '../units/index.ts';
import { chooseEngine, weightMemory, type ChosenEngine } from './bench-engine.ts';
import { openLog, readMachine, sweepHost, type Machine } from './bench-host.ts';
import { architecturesOf, sweepModel } from './bench-models.ts';
import type { CheckOptions } from './check-options.ts';
import { resultLogPath, type CliContext } from './context.ts';
import type { ExitCode } from './exit.ts';
import { printJson } from './output.ts';
import { packageVersion } from './version.ts';

const BENCHMARK = { id: 'ridgepoint.check', version: 1 } as const;
/** A dense and a mixture-of-experts model that people run, each with what stands in for it where memory is short. */
const MODELS = [
  ['llama-3.1-8b:Q4_K_M', 'llama-3.2-3b:Q4_K_M', 'llama-3.2-1b:Q4_K_M'],
  ['qwen3-30b-a3b:Q4_K_M', 'gpt-oss-20b:MXFP4'],
] as const;
/** Long enough for a clock to rise to its boost, short enough that four of them are soon over. */
const PRODUCT_MILLISECONDS = 400;
const LIMITS = { loadMilliseconds: 10 * 60_000, repetitionMilliseconds: 10 * 60_000 } as const;
/** Assumed where an engine cannot time products: a slow machine, so that the tests stay short. */
const UNKNOWN_SPEEDS = { matmul: flopPerSecond(1e11), bandwidth: bytesPerSecond(1e10) } as const;

/** The main job: facts, ceilings, a dense and a mixture-of-experts model by layer samples, and what that means. */
export async function runCheck(options: CheckOptions, context: CliContext): Promise<ExitCode> {
  const start = performance.now();
  const say = (text: string): void => context.stderr(context.errorColors.dim(text));
  say('Reading the facts of this machine ...');
  const chosen = await chooseEngine(options.engine, options.backend, context);
  const machine = await readMachine(chosen);
  say(`Timing matrix products on ${chosen.description.gpuInfo || chosen.description.cpuInfo} ...`);
  const measuredCeilings = await measureCeilings(chosen, machine, context);
  const log = openLog(context);
  const host = sweepHost(chosen, machine, log, (event) => {
    if (event.kind === 'point-started')
      say(`Measuring ${event.point.model.facts.name} ${testName(event.point.test)} ...`);
  });
  const runs: CheckRun[] = [];
  const notRun: CheckReport['notRun'][number][] = [];
  for (const candidates of MODELS) {
    try {
      runs.push(await checkModel(candidates, options, measuredCeilings, machine, chosen, host, context));
    } catch (error) {
      if (!(error instanceof LayerPlanError)) throw error;
      notRun.push({ name: candidates[0], reason: error.message });
    }
  }
  const report = buildCheckReport({
    createdAt: new Date().toISOString(),
    ridgepointVersion: packageVersion(),
    quick: options.quick,
    machine: machine.facts,
    engine: chosen.description,
    threads: machine.threads,
    measuredCeilings,
    runs,
    notRun,
    recordsFile: resultLogPath(context.paths),
    durationSeconds: seconds((performance.now() - start) / 1000),
  });
  if (options.json) printJson(context, report);
  else if (options.format === 'md') context.stdout(renderCheckMarkdown(report));
  else context.stdout(renderCheckText(report, context.colors.bold));
  const failed = runs
    .flatMap(({ records }) => records)
    .filter(({ outcome }) => outcome !== 'measured').length;
  if (failed + notRun.length === 0) return 0;
  context.stderr(`${failed + notRun.length} measurements failed; the report and the records say how.`);
  return 1;
}

async function measureCeilings(
  { embedded }: ChosenEngine,
  machine: Machine,
  context: CliContext,
): Promise<Ceilings | null> {
  if (embedded === null) return null;
  const products = ceilingProducts(valueOf(machine.facts.cpu.l3TotalBytes) ?? null);
  const probe = embedded.probe(context.signal);
  try {
    const timed = [];
    for (const product of products) {
      const request = {
        ...product,
        device: null,
        threads: machine.threads,
        milliseconds: PRODUCT_MILLISECONDS,
      };
      timed.push({ product, samplesNanoseconds: await probe.multiply(request) });
    }
    return ceilingsOf(timed);
  } finally {
    await probe.end();
  }
}

interface Choice {
  readonly name: string;
  readonly shape: ModelShape;
  readonly mix: MixName;
  readonly plan: CheckPlan;
}

/** The first model of the list of which a sample fits. @throws LayerPlanError when none does. */
function choose(
  candidates: readonly string[],
  ceilings: Ceilings | null,
  limits: LayerLimits,
  quick: boolean,
): Choice {
  const speeds =
    ceilings === null
      ? UNKNOWN_SPEEDS
      : { matmul: ceilings.matmul.value, bandwidth: ceilings.bandwidth.value };
  const records = readModelRecords();
  let refusal: LayerPlanError | null = null;
  for (const name of candidates) {
    const { record, quantisation } = resolveModelName(name, records, MIX_NAMES);
    if (!isMixName(quantisation)) continue;
    const shape = shapeOf(record);
    try {
      return { name, shape, mix: quantisation, plan: planCheck(shape, quantisation, speeds, limits, quick) };
    } catch (error) {
      if (!(error instanceof LayerPlanError)) throw error;
      refusal = error;
    }
  }
  throw refusal ?? new LayerPlanError('unsupported', `None of ${candidates.join(', ')} is in the catalogue.`);
}

async function checkModel(
  candidates: readonly string[],
  options: CheckOptions,
  ceilings: Ceilings | null,
  machine: Machine,
  chosen: ChosenEngine,
  host: SweepHost,
  context: CliContext,
): Promise<CheckRun> {
  const lastLevelCacheBytes = valueOf(machine.facts.cpu.l3TotalBytes) ?? null;
  const limits: LayerLimits = {
    memoryBytes: weightMemory(chosen),
    diskBytes: null,
    lastLevelCacheBytes,
  };
  const { name, shape, mix, plan } = choose(candidates, ceilings, limits, options.quick);
  const model = await sweepModel(
    name,
    {
      layers: plan.layers,
      lastLevelCacheBytes,
      memoryBytes: () => weightMemory(chosen),
      knowsArchitecture: architecturesOf(chosen.embedded !== null),
    },
    context,
  );
  const settings = usualSettings(machine.threads);
  const grid = { models: [model], promptAndGenerated: [], settings };
  const points = [
    ...sweepPoints({
      ...grid,
      promptTokens: [plan.promptTokens],
      generatedTokens: [plan.generatedTokens],
      depthTokens: [0],
    }),
    ...sweepPoints({
      ...grid,
      promptTokens: plan.depthTokens === null ? [] : [plan.promptTokens],
      generatedTokens: [],
      depthTokens: plan.depthTokens === null ? [] : [plan.depthTokens],
    }),
  ];
  const run = randomUUID();
  const records: MeasurementRecord[] = await runSweep(
    {
      benchmark: BENCHMARK,
      key: hashState({ benchmark: `${BENCHMARK.id}/${BENCHMARK.version}`, run }),
      run,
      points,
      finished: new Set(),
      repetitions: plan.repetitions,
      limits: LIMITS,
    },
    host,
    context.signal,
  );
  return {
    name,
    parameters: parameterCount(shape),
    activeParameters: activeParameterCount(shape),
    sizeBytes: weightBytes(shape, mix),
    activeWeightBytes: activeWeightBytesPerToken(shape, mix),
    layersRun: plan.layers,
    layers: shape.layers,
    promptTokens: plan.promptTokens,
    generatedTokens: plan.generatedTokens,
    records,
  };
}
