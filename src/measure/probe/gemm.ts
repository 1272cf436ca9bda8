import { GGML_TYPES, type GgmlTypeName } from '../../model/index.ts';
import { median, sortSamples } from '../../stats/index.ts';
import { flopPerSecond, type FlopPerSecond, type Nanoseconds, type Seconds } from '../../units/index.ts';
import { take, type ProbeHost } from './host.ts';
import type { ProbeReading } from './record.ts';
import { searchAdaptively, searchExhaustively, type SearchResult } from './search.ts';
import { axisValues, operationsOf, type Shape, type ShapeSpace } from './shape-space.ts';

/** Types of weights that people run, and the plain ones beside them. */
export const GEMM_TYPES = [
  'F16',
  'BF16',
  'Q8_0',
  'Q4_0',
  'Q4_K',
  'MXFP4',
] as const satisfies readonly GgmlTypeName[];

/** Times one product again and again for so long. */
export type TimeProduct = (shape: Shape, milliseconds: number) => Promise<readonly Nanoseconds[]>;

export interface GemmPlan {
  /** What multiplies: the engine, or PyTorch with some variables set. */
  readonly by: 'ggml' | 'torch';
  readonly environment: Readonly<Record<string, string>>;
  readonly type: string;
  readonly threads: number;
  readonly space: ShapeSpace;
  readonly exhaustive: boolean;
  /** Time for each shape; a few repetitions are made whatever they take. */
  readonly milliseconds: number;
  /** The search ends after so long with what it has. */
  readonly searchSeconds: Seconds;
  /** The best shape runs so long without a pause; 0 leaves that out. */
  readonly steadySeconds: Seconds;
}

/** A product that every machine can do and that already keeps it busy: from its rate the size of the space follows. */
export const FIRST_SHAPE: Shape = { rows: 512, batch: 512, columns: 2048 };
/** The largest product of the default space takes about so long. */
const LARGEST_PRODUCT_SECONDS = 0.15;
/** No model has wider matrices than this by much, and larger ones take long to fill. */
const LARGEST_LENGTH = 8192;
/** K-quants come in blocks of 256, and tiles divide it. */
const STEP = 256;
const MOST_STEPS = 12;

/** A cube of multiples of 256 whose largest product takes a machine of this rate about 0.15 s. */
export function defaultSpace(rate: FlopPerSecond): ShapeSpace {
  const length = Math.cbrt((rate * LARGEST_PRODUCT_SECONDS) / 2);
  const stop = Math.max(3 * STEP, Math.min(LARGEST_LENGTH, Math.floor(length / STEP) * STEP));
  const step = STEP * Math.ceil(stop / STEP / MOST_STEPS);
  const values = axisValues({ start: 0, stop: stop + 1, step });
  return { rows: values, batch: values, columns: values };
}

/** Shapes of a space that a type can have: a row is a whole number of its blocks. */
export function spaceFor(type: GgmlTypeName, space: ShapeSpace): ShapeSpace {
  const { blockSize } = GGML_TYPES[type];
  return { ...space, columns: space.columns.filter((length) => length % blockSize === 0) };
}

/** So many failures in a row end a search: the device is gone, or cannot multiply this type. */
const MOST_FAILURES = 3;

/** Searches the best shape, then runs it without a pause. Every timing is kept as it comes. */
export async function probeGemm(
  plan: GemmPlan,
  host: ProbeHost,
  time: TimeProduct,
  onProgress: (result: SearchResult) => void = () => undefined,
): Promise<ProbeReading[]> {
  const readings: ProbeReading[] = [];
  let failures = 0;
  const timeOne = async (
    shape: Shape,
    purpose: 'search' | 'steady',
    milliseconds: number,
  ): Promise<FlopPerSecond | null> => {
    const { by, type, environment } = plan;
    const subject = { kind: 'matmul', by, type, ...shape, purpose, environment: { ...environment } } as const;
    const reading = await take(host, plan.threads, subject, milliseconds, async () => ({
      subject,
      samplesNanoseconds: [...(await time(shape, milliseconds))],
    }));
    readings.push(reading);
    failures = reading.failure === null ? 0 : failures + 1;
    return gemmRate(reading);
  };
  const end = host.now() + plan.searchSeconds;
  const search = plan.exhaustive ? searchExhaustively : searchAdaptively;
  const { best } = await search(plan.space, (shape) => timeOne(shape, 'search', plan.milliseconds), {
    isOver: () => host.now() >= end || failures >= MOST_FAILURES,
    onProgress,
  });
  if (best !== null && plan.steadySeconds > 0) await timeOne(best.shape, 'steady', plan.steadySeconds * 1e3);
  return readings;
}

/** The median rate of a product; null when nothing was timed. */
export function gemmRate({ subject, samplesNanoseconds }: ProbeReading): FlopPerSecond | null {
  if (subject.kind !== 'matmul' || samplesNanoseconds.length === 0) return null;
  return flopPerSecond((operationsOf(subject) / median(sortSamples(samplesNanoseconds))) * 1e9);
}
