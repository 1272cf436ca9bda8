import { InvalidArgumentError, Option, type Command } from 'commander';
import type { BenchOptions, LayersChoice, PromptAndGeneration } from './bench-options.ts';
import type { Enter } from './context.ts';
import { CACHE_TYPES, isCacheType, type CacheType, type FlashAttention } from '../engine/index.ts';
import { LLAMA_BENCH_FORMATS, type LlamaBenchFormat } from '../report/index.ts';
import { seconds, type Seconds } from '../units/index.ts';
import { BACKEND_OPTION, ENGINE_OPTION, type Backend, type EngineChoice } from './engine-options.ts';
import { UsageError } from './exit.ts';
import { asArgument, parseIntegerList, type IntegerListOptions } from './integer-list.ts';

/** What the parser gives: only what was written, so that lists given twice add up as they do in llama-bench. */
interface BenchFlags {
  readonly nPrompt?: readonly number[];
  readonly nGen?: readonly number[];
  readonly pg?: readonly PromptAndGeneration[];
  readonly nDepth?: readonly number[];
  readonly batchSize?: readonly number[];
  readonly ubatchSize?: readonly number[];
  readonly cacheTypeK?: readonly CacheType[];
  readonly cacheTypeV?: readonly CacheType[];
  readonly threads?: readonly number[];
  readonly nGpuLayers?: readonly number[];
  readonly nCpuMoe?: readonly number[];
  readonly flashAttn?: readonly FlashAttention[];
  readonly repetitions?: readonly number[];
  readonly output?: LlamaBenchFormat;
  readonly outputErr?: LlamaBenchFormat;
  readonly engine: EngineChoice;
  readonly backend?: Backend;
  readonly layers: LayersChoice;
  readonly resume?: boolean;
  readonly fresh?: boolean;
  readonly retryFailed?: boolean;
  readonly timeout?: Seconds;
  readonly json?: boolean;
}

/** Defines `bench`: llama-bench's flags and Ridgepoint's own. The defaults are llama-bench's. */
export function configureBench(command: Command, enter: Enter): void {
  const cacheTypes = Object.keys(CACHE_TYPES).join('|');
  command
    .argument(
      '<model...>',
      'a .gguf file, or name:QUANT of the catalogue, which then runs with synthetic weights',
    )
    .addOption(integers('-p, --n-prompt <list>', 'tokens of the prompt (default: 512)'))
    .addOption(integers('-n, --n-gen <list>', 'tokens to generate (default: 128)'))
    .addOption(list('--pg <pp,tg>', 'prompt and generation in one test; may be repeated', parsePair))
    .addOption(integers('-d, --n-depth <list>', 'tokens in the KV cache before the timed part (default: 0)'))
    .addOption(integers('-b, --batch-size <list>', 'logical batch (default: 2048)', { minimum: 1 }))
    .addOption(integers('--ubatch-size <list>', 'physical batch, -ub (default: 512)', { minimum: 1 }))
    .addOption(list('--cache-type-k <list>', `${cacheTypes}, -ctk (default: f16)`, parseCacheTypes))
    .addOption(list('--cache-type-v <list>', `${cacheTypes}, -ctv (default: f16)`, parseCacheTypes))
    .addOption(
      integers('-t, --threads <list>', 'threads (default: recommended for this machine)', { minimum: 1 }),
    )
    .addOption(
      integers('--n-gpu-layers <list>', 'layers on the GPU, -ngl (default: -1, all)', {
        allowNegative: true,
        minimum: -1,
      }),
    )
    .addOption(integers('--n-cpu-moe <list>', 'layers whose experts stay on the CPU, -ncmoe (default: 0)'))
    .addOption(list('--flash-attn <list>', 'auto|on|off, -fa (default: auto)', parseFlashAttention))
    .addOption(
      new Option('-r, --repetitions <n>', 'repetitions (default: until the interval is narrow)').argParser(
        (text) => asArgument(text, (value) => parseIntegerList(value, { minimum: 1 })),
      ),
    )
    .addOption(new Option('-o, --output <format>', "llama-bench's own schema").choices(LLAMA_BENCH_FORMATS))
    .addOption(
      new Option('--output-err <format>', 'the same on standard error, -oe').choices(LLAMA_BENCH_FORMATS),
    )
    .addOption(ENGINE_OPTION)
    .addOption(BACKEND_OPTION)
    .addOption(
      new Option(
        '--layers <choice>',
        'layers of a synthetic model to run: auto, all, or two counts such as 4,8',
      )
        .argParser((text) => asArgument(text, parseLayers))
        .default({ kind: 'auto' }, 'auto'),
    )
    .addOption(new Option('--resume', 'go on with an interrupted sweep (the default)').conflicts('fresh'))
    .option('--fresh', 'start over')
    .option('--retry-failed', 'measure points again that failed')
    .addOption(
      new Option('--timeout <seconds>', 'limit for loading, and for each repetition').argParser((text) =>
        asArgument(text, parseTimeout),
      ),
    )
    .addOption(new Option('--json', "print Ridgepoint's own records").conflicts('output'))
    .action((models: string[], flags: BenchFlags) =>
      enter(async (context) => {
        const options = resolveBenchOptions(flags);
        const { runBench } = await import('./bench.ts');
        return runBench(models, options, context);
      }),
    );
}

/** Fills in the defaults, which are llama-bench's (llama-bench.cpp, cmd_params_defaults, release v0.5.0). */
function resolveBenchOptions(flags: BenchFlags): BenchOptions {
  const repetitions = flags.repetitions ?? [];
  if (repetitions.length > 1) throw new UsageError('--repetitions takes one number.');
  return {
    promptTokens: flags.nPrompt ?? [512],
    generatedTokens: flags.nGen ?? [128],
    promptAndGeneration: flags.pg ?? [],
    depthTokens: flags.nDepth ?? [0],
    batchTokens: flags.batchSize ?? [2048],
    ubatchTokens: flags.ubatchSize ?? [512],
    cacheTypeK: flags.cacheTypeK ?? ['f16'],
    cacheTypeV: flags.cacheTypeV ?? ['f16'],
    threads: flags.threads ?? null,
    gpuLayers: flags.nGpuLayers ?? [-1],
    cpuMoeLayers: flags.nCpuMoe ?? [0],
    flashAttention: flags.flashAttn ?? ['auto'],
    repetitions: repetitions[0] ?? null,
    output: flags.output ?? null,
    outputError: flags.outputErr ?? null,
    engine: flags.engine,
    backend: flags.backend ?? null,
    layers: flags.layers,
    fresh: flags.fresh === true,
    retryFailed: flags.retryFailed === true,
    timeout: flags.timeout ?? null,
    json: flags.json === true,
  };
}

/** An option that may be written several times; the lists add up. */
function list(flags: string, description: string, parse: (text: string) => readonly unknown[]): Option {
  return new Option(flags, description).argParser((text, previous: readonly unknown[] | undefined) => [
    ...(previous ?? []),
    ...asArgument(text, parse),
  ]);
}

function integers(flags: string, description: string, options: IntegerListOptions = {}): Option {
  return list(flags, description, (text) => parseIntegerList(text, options));
}

function parsePair(text: string): PromptAndGeneration[] {
  const match = /^(\d{1,9}),(\d{1,9})$/.exec(text);
  if (match === null) {
    throw new InvalidArgumentError(`'${text}' is no pair; write prompt and generation as 512,128.`);
  }
  return [{ promptTokens: Number(match[1]), generatedTokens: Number(match[2]) }];
}

function parseCacheTypes(text: string): CacheType[] {
  return text.split(',').map((name) => {
    if (isCacheType(name)) return name;
    throw new InvalidArgumentError(
      `'${name}' is no type for the KV cache; known are ${Object.keys(CACHE_TYPES).join(', ')}.`,
    );
  });
}

/** The words that llama.cpp takes: common/arg.cpp, is_truthy, is_falsey and is_autoy, release v0.5.0. */
const FLASH_ATTENTION_WORDS: ReadonlyMap<string, FlashAttention> = new Map([
  ...['on', 'enabled', 'true', '1'].map((word) => [word, 'on'] as const),
  ...['off', 'disabled', 'false', '0'].map((word) => [word, 'off'] as const),
  ...['auto', '-1'].map((word) => [word, 'auto'] as const),
]);

function parseFlashAttention(text: string): FlashAttention[] {
  return text.split(',').map((word) => {
    const value = FLASH_ATTENTION_WORDS.get(word);
    if (value !== undefined) return value;
    throw new InvalidArgumentError(`'${word}' is none of auto, on and off.`);
  });
}

function parseLayers(text: string): LayersChoice {
  if (text === 'auto' || text === 'all') return { kind: text };
  const [first, second, ...others] = parseIntegerList(text, { minimum: 1 });
  if (first === undefined || second === undefined || others.length > 0 || first >= second) {
    throw new InvalidArgumentError(
      `'${text}' is none of auto, all and two growing counts of layers such as 4,8.`,
    );
  }
  return { kind: 'counts', counts: [first, second] };
}

function parseTimeout(text: string): Seconds {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) {
    throw new InvalidArgumentError(`'${text}' is no time in seconds above 0.`);
  }
  return seconds(value);
}
