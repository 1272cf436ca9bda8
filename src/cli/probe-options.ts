import { InvalidArgumentError } from 'commander';
import { GEMM_TYPES, axisValues, MAX_AXIS_VALUES, type AxisRange, type ProbePart } from '../measure/index.ts';
import { GGML_TYPES, type GgmlTypeName } from '../model/index.ts';
import type { Bytes, Seconds } from '../units/index.ts';
import type { Backend } from './engine-options.ts';

/** What a probe was asked for. */
export interface ProbeOptions {
  readonly parts: readonly ProbePart[];
  readonly backend: Backend | null;
  /** The engine's name of the device; null is its first. */
  readonly device: string | null;
  readonly threads: number | null;
  /** The entry of the catalogue to compare with; null is the one that the machine's facts point to. */
  readonly datasheet: string | null;
  readonly types: readonly GgmlTypeName[];
  /** null: a space that suits the machine's rate. */
  readonly ranges: {
    readonly rows: AxisRange;
    readonly batch: AxisRange;
    readonly columns: AxisRange;
  } | null;
  readonly exhaustive: boolean;
  readonly withTorch: boolean;
  /** For the search of each type. */
  readonly searchSeconds: Seconds;
  /** Of the best shape of each type without a pause; 0 leaves it out. */
  readonly steadySeconds: Seconds;
  /** Largest working set and largest transfer; null is as large as the caches and the memory suggest. */
  readonly largest: Bytes | null;
  readonly svg: string | null;
  readonly json: boolean;
  readonly fresh: boolean;
}

/** `F16,Q4_K`: types of ggml in any case. @throws InvalidArgumentError */
export function parseTypes(text: string): GgmlTypeName[] {
  return text.split(',').map((part) => {
    const name = part.trim().toUpperCase();
    const found = (Object.keys(GGML_TYPES) as GgmlTypeName[]).find((type) => type === name);
    if (found === undefined) {
      throw new InvalidArgumentError(`'${part}' is no type of ggml; write some of ${GEMM_TYPES.join(', ')}.`);
    }
    return found;
  });
}

/** `START,STOP,STEP`, as mamf-finder takes it. @throws InvalidArgumentError */
export function parseRange(text: string): AxisRange {
  const numbers = text.split(',').map((part) => (/^\d+$/.test(part.trim()) ? Number(part) : Number.NaN));
  const [start = Number.NaN, stop = Number.NaN, step = Number.NaN] = numbers;
  if (numbers.length !== 3 || numbers.some(Number.isNaN) || step === 0) {
    throw new InvalidArgumentError(`'${text}' is no range; write START,STOP,STEP, such as 0,4096,256.`);
  }
  const { length } = axisValues({ start, stop, step });
  if (length === 0 || length > MAX_AXIS_VALUES) {
    const count = length === 0 ? 'no values' : `more than ${MAX_AXIS_VALUES} values`;
    throw new InvalidArgumentError(
      `'${text}' has ${count}; write START,STOP,STEP with a stop above the start.`,
    );
  }
  return { start, stop, step };
}
