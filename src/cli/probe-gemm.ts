import { openTorch, TORCH_TYPES, type Torch } from '../engine/host/index.ts';
import { EngineFailure } from '../engine/index.ts';
import {
  axisValues,
  budgetFor,
  defaultSpace,
  FIRST_SHAPE,
  gemmRate,
  gemmResults,
  probeGemm,
  spaceFor,
  spaceSize,
  take,
  type GemmPlan,
  type ProbeHost,
  type ProbeReading,
  type Shape,
  type ShapeSpace,
  type TimeProduct,
} from '../measure/index.ts';
import type { CliContext } from './context.ts';
import type { ProbeScene } from './probe-host.ts';
import type { ProbeOptions } from './probe-options.ts';
import { startProbeProgress } from './probe-progress.ts';

/** For each shape; five repetitions are made whatever they take. */
const SHAPE_MILLISECONDS = 40;
/** For the first product, from whose rate the space follows. */
const FIRST_MILLISECONDS = 300;
/** For each side of a comparison of two BLAS libraries. */
const PAIR_MILLISECONDS = 500;
const PAIRS = 3;

/** Searches the best product of each type with the engine. */
export async function probeProducts(
  options: ProbeOptions,
  { run, probe, device, threads }: ProbeScene,
  context: CliContext,
): Promise<void> {
  const { host } = run;
  for (const type of options.types) {
    const time: TimeProduct = (shape, milliseconds) =>
      probe.multiply({ device: device.name, type, ...shape, threads, milliseconds });
    const common = { by: 'ggml', environment: {}, type, threads } as const;
    const space = await spaceOf(options, common, host, time);
    if (space === null) continue;
    await search(
      { ...common, ...searchSettings(options), space: spaceFor(type, space) },
      host,
      time,
      context,
    );
  }
}

const searchSettings = ({ exhaustive, searchSeconds, steadySeconds }: ProbeOptions) => ({
  exhaustive,
  milliseconds: SHAPE_MILLISECONDS,
  searchSeconds,
  steadySeconds,
});

async function search(
  plan: GemmPlan,
  host: ProbeHost,
  time: TimeProduct,
  context: CliContext,
): Promise<void> {
  const total = plan.exhaustive ? spaceSize(plan.space) : budgetFor(plan.space);
  const name = `products, ${plan.by === 'torch' ? 'torch ' : ''}${plan.type}`;
  const progress = startProbeProgress(name, context);
  try {
    await probeGemm(plan, host, time, ({ best, evaluations }) => progress.best(best, evaluations, total));
  } finally {
    progress.stop();
  }
}

/** The ranges that were asked for, or what suits the rate of a first product; null when that cannot be run. */
async function spaceOf(
  { ranges }: ProbeOptions,
  plan: Pick<GemmPlan, 'by' | 'environment' | 'type' | 'threads'>,
  host: ProbeHost,
  time: TimeProduct,
): Promise<ShapeSpace | null> {
  if (ranges !== null) {
    const { rows, batch, columns } = ranges;
    return { rows: axisValues(rows), batch: axisValues(batch), columns: axisValues(columns) };
  }
  const reading = await takeProduct(plan, FIRST_SHAPE, FIRST_MILLISECONDS, host, time);
  const rate = gemmRate(reading);
  return rate === null ? null : defaultSpace(rate);
}

function takeProduct(
  { by, environment, type, threads }: Pick<GemmPlan, 'by' | 'environment' | 'type' | 'threads'>,
  shape: Shape,
  milliseconds: number,
  host: ProbeHost,
  time: TimeProduct,
): Promise<ProbeReading> {
  const subject = {
    kind: 'matmul',
    by,
    type,
    ...shape,
    purpose: 'search',
    environment: { ...environment },
  } as const;
  return take(host, threads, subject, milliseconds, async () => ({
    subject,
    samplesNanoseconds: [...(await time(shape, milliseconds))],
  }));
}

/** Variables that choose the BLAS library of PyTorch on AMD (PyTorch's and rocBLAS's own documentation). */
const BLAS_VARIABLES = ['TORCH_BLAS_PREFER_HIPBLASLT', 'ROCBLAS_USE_HIPBLASLT'] as const;

/** The same with PyTorch, where a python3 has it. @returns what could not be done. */
export async function probeTorch(
  options: ProbeOptions,
  { run, threads }: ProbeScene,
  context: CliContext,
): Promise<string[]> {
  let torch: Torch;
  try {
    torch = await openTorch({}, context.signal);
  } catch (error) {
    if (!(error instanceof EngineFailure)) throw error;
    return [`PyTorch was left out. ${error.message}`];
  }
  const notes: string[] = [`PyTorch ${torch.version} on ${torch.deviceName} (${torch.device}).`];
  try {
    const host: ProbeHost = { ...run.host, probe: { ...run.host.probe, processId: torch.processId } };
    for (const [type, name] of Object.entries(TORCH_TYPES)) {
      if (!options.types.some((each) => each === type)) continue;
      const time: TimeProduct = (shape, milliseconds) =>
        torch.multiply({ type: name, ...shape, threads, milliseconds });
      const common = { by: 'torch', environment: {}, type: name, threads } as const;
      const space = await spaceOf(options, common, host, time);
      if (space === null) continue;
      await search({ ...common, ...searchSettings(options), space }, host, time, context);
      if (torch.isRocm) await compareBlas(name, threads, run.readings, host, context);
    }
    if (!torch.isRocm) {
      notes.push(
        `Its BLAS libraries were not compared: ${BLAS_VARIABLES.join(' and ')} matter on ROCm only.`,
      );
    }
  } finally {
    await torch.end();
  }
  return notes;
}

/** Each variable set to 0 and to 1, in two processes that take turns (0 1, 1 0, ...) with the best shape. */
async function compareBlas(
  type: string,
  threads: number,
  readings: readonly ProbeReading[],
  host: ProbeHost,
  context: CliContext,
): Promise<void> {
  const best = gemmResults(readings).find((result) => result.by === 'torch' && result.type === type)?.best;
  if (best === undefined) return;
  for (const variable of BLAS_VARIABLES) {
    const open = async (value: string): Promise<{ environment: Record<string, string>; torch: Torch }> => {
      const environment = { [variable]: value };
      return { environment, torch: await openTorch(environment, context.signal) };
    };
    const sides = [await open('0'), await open('1')];
    try {
      for (let pair = 0; pair < PAIRS; pair += 1) {
        for (const { environment, torch } of pair % 2 === 0 ? sides : sides.toReversed()) {
          const time: TimeProduct = (shape, milliseconds) =>
            torch.multiply({ type, ...shape, threads, milliseconds });
          const plan = { by: 'torch', environment, type, threads } as const;
          await takeProduct(plan, best.shape, PAIR_MILLISECONDS, host, time);
        }
      }
    } finally {
      for (const { torch } of sides) await torch.end();
    }
  }
}
