import { Argument, InvalidArgumentError, Option, type Command } from 'commander';
import { GEMM_TYPES, PROBE_PARTS, type AxisRange, type ProbePart } from '../measure/index.ts';
import type { GgmlTypeName } from '../model/index.ts';
import { parseBytes, seconds, type Bytes } from '../units/index.ts';
import type { Enter } from './context.ts';
import { BACKEND_OPTION, type Backend } from './engine-options.ts';
import { parseRange, parseTypes } from './probe-options.ts';

interface ProbeFlags {
  readonly backend?: Backend;
  readonly device?: string;
  readonly threads?: number;
  readonly datasheet?: string;
  readonly types?: readonly GgmlTypeName[];
  readonly range?: AxisRange;
  readonly mRange?: AxisRange;
  readonly nRange?: AxisRange;
  readonly kRange?: AxisRange;
  readonly exhaustive?: boolean;
  readonly with?: string;
  readonly searchSeconds?: number;
  readonly steadySeconds?: number;
  readonly largest?: Bytes;
  readonly svg?: string;
  readonly json?: boolean;
  readonly fresh?: boolean;
}

/** For each type, when everything is probed: six types and the rest are then done in under three minutes. */
const QUICK = { search: 8, steady: 5 } as const;
/** For each type, when only products are probed. */
const THOROUGH = { search: 60, steady: 20 } as const;
/** A search of every shape ends when it has them all. */
const EXHAUSTIVE_SECONDS = Number.POSITIVE_INFINITY;
/** Where one axis alone is asked for, the others have this one value: mamf-finder's own example. */
const FIXED_LENGTH = 4096;

/** Defines `probe`. */
export function configureProbe(command: Command, enter: Enter): void {
  command
    .addArgument(new Argument('[part]', 'what to probe (default: everything)').choices(PROBE_PARTS))
    .addOption(BACKEND_OPTION)
    .option('--device <name>', 'the device, as ridgepoint engines names it (default: the first)')
    .option('--threads <n>', 'threads of a CPU (default: recommended for this machine)', parseCount)
    .option('--datasheet <id>', 'the entry of the catalogue to compare with, instead of the one found')
    .option('--types <list>', `types of weights for products (default: ${GEMM_TYPES.join(',')})`, parseTypes)
    .option(
      '--range <start,stop,step>',
      'lengths of all three axes of products, as in mamf-finder',
      parseRange,
    )
    .option('--m-range <range>', 'rows of the weights (M)', parseRange)
    .option('--n-range <range>', 'batch of activations (N)', parseRange)
    .option('--k-range <range>', 'columns of the weights (K)', parseRange)
    .option('--exhaustive', 'time every shape instead of searching')
    .addOption(new Option('--with <library>', 'multiply with another library as well').choices(['torch']))
    .option('--search-seconds <n>', 'limit of the search of each type', parseNumber)
    .option('--steady-seconds <n>', 'run of the best shape without a pause; 0 leaves it out', parseNumber)
    .option('--largest <size>', 'largest working set and transfer, such as 256MiB', parseSize)
    .option('--svg <file>', 'write the roofline as a picture')
    .option('--json', 'print the report as one JSON document')
    .option('--fresh', 'start over instead of going on with an interrupted probe')
    .action((part: ProbePart | undefined, flags: ProbeFlags) =>
      enter(async (context) => {
        const { runProbe } = await import('./probe.ts');
        const pace = part === 'gemm' ? THOROUGH : QUICK;
        const search = flags.exhaustive === true ? EXHAUSTIVE_SECONDS : pace.search;
        return runProbe(
          {
            parts: part === undefined ? PROBE_PARTS : [part],
            backend: flags.backend ?? null,
            device: flags.device ?? null,
            threads: flags.threads ?? null,
            datasheet: flags.datasheet ?? null,
            types: flags.types ?? GEMM_TYPES,
            ranges: rangesOf(flags),
            exhaustive: flags.exhaustive === true,
            withTorch: flags.with === 'torch',
            searchSeconds: seconds(flags.searchSeconds ?? search),
            steadySeconds: seconds(flags.steadySeconds ?? pace.steady),
            largest: flags.largest ?? null,
            svg: flags.svg ?? null,
            json: flags.json === true,
            fresh: flags.fresh === true,
          },
          context,
        );
      }),
    );
}

function rangesOf({ range, mRange, nRange, kRange }: ProbeFlags) {
  if (range === undefined && mRange === undefined && nRange === undefined && kRange === undefined)
    return null;
  const others = range ?? { start: FIXED_LENGTH, stop: FIXED_LENGTH + 1, step: 1 };
  return { rows: mRange ?? others, batch: nRange ?? others, columns: kRange ?? others };
}

function parseCount(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('write a whole number above 0.');
  return value;
}

function parseNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
    throw new InvalidArgumentError('write a number of seconds.');
  }
  return value;
}

function parseSize(text: string): Bytes {
  const size = parseBytes(text);
  if (size === undefined) throw new InvalidArgumentError('write a size such as 256MiB.');
  return size;
}
