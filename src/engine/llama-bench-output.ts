import { z } from 'zod';
import { MIB, bytes, nanoseconds } from '../units/index.ts';
import type { BenchTest, EngineDevice, FlashAttention, ModelSettings } from './engine.ts';

/** Longest line that is looked at: a row with a million samples of ten digits each in both units. */
const MAX_ROW_CHARACTERS = 2 ** 25;

const count = z.number().int().nonnegative();

/** llama-bench printed a flag as a boolean in some releases and as a number in others; here it is always a number. */
const flag = z.union([z.boolean().transform(Number), z.number().int()]);

/**
 * One row of `llama-bench -o jsonl`, as release 0.5.0 prints it (llama-bench.cpp, test::get_fields, get_field_type).
 * Fields that came or went between releases are optional, and unknown ones are kept, so that rows of older and newer
 * builds and of forks are read too.
 */
export const llamaBenchRowSchema = z.looseObject({
  build_commit: z.string(),
  build_number: z.number().int(),
  cpu_info: z.string().optional(),
  gpu_info: z.string().optional(),
  backends: z.string().optional(),
  model_filename: z.string(),
  model_type: z.string(),
  model_size: count.transform(bytes),
  model_n_params: count,
  n_batch: count,
  n_ubatch: count,
  n_threads: z.number().int(),
  cpu_mask: z.string().optional(),
  cpu_strict: flag.optional(),
  poll: count.optional(),
  type_k: z.string(),
  type_v: z.string(),
  n_gpu_layers: z.number().int(),
  n_cpu_moe: count.optional(),
  split_mode: z.string().optional(),
  main_gpu: z.number().int().optional(),
  no_kv_offload: flag.optional(),
  /** -1 is auto, 0 off, 1 on. */
  flash_attn: flag.optional(),
  devices: z.string().optional(),
  tensor_split: z.string().optional(),
  tensor_buft_overrides: z.string().optional(),
  load_mode: z.string().optional(),
  lazy_mode: z.string().optional(),
  /** Before load_mode. */
  use_mmap: flag.optional(),
  use_direct_io: flag.optional(),
  embeddings: flag.optional(),
  no_op_offload: flag.optional(),
  no_host: flag.optional(),
  fit_target: count.optional(),
  fit_min_ctx: count.optional(),
  n_prompt: count,
  n_gen: count,
  n_depth: count.optional(),
  test_time: z.string(),
  avg_ns: z.number().nonnegative(),
  stddev_ns: z.number().nonnegative(),
  avg_ts: z.number().nonnegative(),
  stddev_ts: z.number().nonnegative(),
  samples_ns: z.array(z.number().positive().transform(nanoseconds)).min(1),
  samples_ts: z.array(z.number()).optional(),
});

export type LlamaBenchRow = z.infer<typeof llamaBenchRowSchema>;

/** Reads one line of `-o jsonl`; null when the line is not a row. */
export function parseLlamaBenchRow(line: string): LlamaBenchRow | null {
  if (line.length > MAX_ROW_CHARACTERS || !line.trimStart().startsWith('{')) return null;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  const parsed = llamaBenchRowSchema.safeParse(value);
  return parsed.success ? parsed.data : null;
}

/** What a build of llama-bench understands, as its `--help` tells. */
export interface LlamaBenchDialect {
  readonly version: boolean;
  readonly listDevices: boolean;
  /** Words (`on`, `off`, `auto`) from October 2025 on, numbers before. */
  readonly flashAttentionWords: boolean;
  /** -ncmoe. */
  readonly cpuMoe: boolean;
  /** -d. */
  readonly depth: boolean;
}

/** Reads the text of `llama-bench --help`; null when it is another program's. */
export function parseLlamaBenchHelp(help: string): LlamaBenchDialect | null {
  const isLlamaBench = /--n-prompt\b/.test(help) && /--n-gen\b/.test(help) && /--ubatch-size\b/.test(help);
  if (!isLlamaBench) return null;
  return {
    version: /^\s*--version\b/m.test(help),
    listDevices: /--list-devices\b/.test(help),
    flashAttentionWords: /--flash-attn\s+<on\|off\|auto>/.test(help),
    cpuMoe: /--n-cpu-moe\b/.test(help),
    depth: /--n-depth\b/.test(help),
  };
}

/** A setting that a build of llama-bench has no option for. */
export class UnknownOptionError extends Error {
  override readonly name = 'UnknownOptionError';
}

/**
 * The arguments for one point. pp and tg are asked for with -p and -n, both in one test with -pg; the other test is
 * switched off with 0, for llama-bench would otherwise run its default ones too.
 * @throws UnknownOptionError when the build has no option for a setting that differs from the build's only behaviour.
 */
export function llamaBenchArguments(
  settings: ModelSettings,
  test: BenchTest,
  repetitions: number,
  dialect: LlamaBenchDialect,
): string[] {
  const { promptTokens, generatedTokens, depthTokens } = test;
  const both = promptTokens > 0 && generatedTokens > 0;
  return [
    ['-m', settings.modelPath],
    ['-p', both ? '0' : String(promptTokens)],
    ['-n', both ? '0' : String(generatedTokens)],
    both ? ['-pg', `${promptTokens},${generatedTokens}`] : [],
    optional(dialect.depth, '-d', depthTokens),
    ['-b', String(settings.batchTokens)],
    ['-ub', String(settings.ubatchTokens)],
    ['-ctk', settings.cacheTypeK],
    ['-ctv', settings.cacheTypeV],
    ['-t', String(settings.threads)],
    // Builds before negative numbers meant "all" take any number above the layers of a model for it.
    ['-ngl', String(settings.gpuLayers === -1 ? ALL_LAYERS : settings.gpuLayers)],
    optional(dialect.cpuMoe, '-ncmoe', settings.cpuMoeLayers),
    ['-fa', flashAttentionValue(settings.flashAttention, dialect)],
    ['-r', String(repetitions)],
    ['-o', 'jsonl'],
  ].flat();
}

/** llama-bench's own default until it became -1; more layers than any model has. */
const ALL_LAYERS = 99;

function optional(known: boolean, option: string, value: number): string[] {
  if (known) return [option, String(value)];
  if (value === 0) return [];
  throw new UnknownOptionError(`has no option ${option}`);
}

function flashAttentionValue(value: FlashAttention, dialect: LlamaBenchDialect): string {
  if (dialect.flashAttentionWords) return value;
  switch (value) {
    case 'on':
      return '1';
    case 'off':
      return '0';
    case 'auto':
      throw new UnknownOptionError('knows -fa on and off, but not auto');
  }
}

export interface LlamaBenchVersion {
  readonly version: string | null;
  readonly buildNumber: number;
  readonly buildCommit: string;
}

/**
 * Reads what `--version` prints, in both forms: `version: 0.5.0-dev (build 1, commit 0ad4a86)` of today and
 * `version: 6730 (e60f01d94)`, in which the number is the build. null when neither is there.
 */
export function parseLlamaBenchVersion(text: string): LlamaBenchVersion | null {
  const today = /^version: (\S+) \(build (\d+), commit (\w+)\)/m.exec(text);
  if (today !== null) {
    const [, version = '', build = '', commit = ''] = today;
    return { version, buildNumber: Number(build), buildCommit: commit };
  }
  const before = /^version: (\d+) \((\w+)\)/m.exec(text);
  if (before === null) return null;
  const [, build = '', commit = ''] = before;
  return { version: null, buildNumber: Number(build), buildCommit: commit };
}

/** Devices that ggml counts as helpers of the CPU, by the beginning of their names (ggml-blas.cpp, ggml-zendnn.cpp). */
const ACCELERATORS = /^(?:BLAS|ZenDNN|AMX)/i;

const DEVICE_LINE =
  /^ {2}(?<name>[^\s:]+): (?<description>.*) \((?<total>\d+) MiB, (?<free>\d+) MiB free\)\s*$/;

/**
 * Reads what `--list-devices` prints (common/arg.cpp, common_print_available_devices). It leaves the CPU out, which
 * every llama-bench has: it refuses to start without. Whether a GPU is an integrated one is not told.
 */
export function parseLlamaBenchDevices(text: string): EngineDevice[] {
  const devices: EngineDevice[] = [
    { name: 'CPU', description: '', kind: 'cpu', totalBytes: null, freeBytes: null },
  ];
  for (const line of text.split('\n')) {
    const groups = DEVICE_LINE.exec(line)?.groups;
    const name = groups?.['name'];
    const total = Number(groups?.['total']);
    const free = Number(groups?.['free']);
    if (name === undefined) continue;
    devices.push({
      name,
      description: groups?.['description'] ?? '',
      kind: ACCELERATORS.test(name) ? 'accelerator' : 'unknown',
      // A device that shares the CPU's memory and does not tell how much of it prints 0.
      totalBytes: total === 0 ? null : bytes(total * MIB),
      freeBytes: total === 0 ? null : bytes(free * MIB),
    });
  }
  return devices;
}
