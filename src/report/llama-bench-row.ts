import { fullSamplesNanoseconds, type MeasurementRecord } from '../measure/index.ts';
import { formatFixed } from './c-numbers.ts';

/** How llama-bench writes a field in JSON and SQL. */
export type LlamaBenchFieldType = 'string' | 'bool' | 'int' | 'float';

/**
 * The fields of llama-bench 0.5.0 in its order, with its types (llama-bench.cpp, test::get_fields and get_field_type).
 * `no_op_offload` is an int there although it is a flag.
 */
export const LLAMA_BENCH_FIELDS = [
  ['build_commit', 'string'],
  ['build_number', 'int'],
  ['cpu_info', 'string'],
  ['gpu_info', 'string'],
  ['backends', 'string'],
  ['model_filename', 'string'],
  ['model_type', 'string'],
  ['model_size', 'int'],
  ['model_n_params', 'int'],
  ['n_batch', 'int'],
  ['n_ubatch', 'int'],
  ['n_threads', 'int'],
  ['cpu_mask', 'string'],
  ['cpu_strict', 'bool'],
  ['poll', 'int'],
  ['type_k', 'string'],
  ['type_v', 'string'],
  ['n_gpu_layers', 'int'],
  ['n_cpu_moe', 'int'],
  ['split_mode', 'string'],
  ['main_gpu', 'int'],
  ['no_kv_offload', 'bool'],
  ['flash_attn', 'int'],
  ['devices', 'string'],
  ['tensor_split', 'string'],
  ['tensor_buft_overrides', 'string'],
  ['load_mode', 'string'],
  ['lazy_mode', 'string'],
  ['embeddings', 'bool'],
  ['no_op_offload', 'int'],
  ['no_host', 'bool'],
  ['fit_target', 'int'],
  ['fit_min_ctx', 'int'],
  ['n_prompt', 'int'],
  ['n_gen', 'int'],
  ['n_depth', 'int'],
  ['test_time', 'string'],
  ['avg_ns', 'int'],
  ['stddev_ns', 'int'],
  ['avg_ts', 'float'],
  ['stddev_ts', 'float'],
] as const satisfies readonly (readonly [string, LlamaBenchFieldType])[];

export type LlamaBenchField = (typeof LLAMA_BENCH_FIELDS)[number][0];

/** One test as llama-bench holds it: every field as text, null where the record does not know it. */
export interface LlamaBenchRow {
  readonly values: Readonly<Record<LlamaBenchField, string | null>>;
  readonly samplesNanoseconds: readonly number[];
  readonly samplesTokensPerSecond: readonly number[];
  readonly averageTokensPerSecond: number;
  readonly deviationTokensPerSecond: number;
  readonly sizeBytes: number | null;
  readonly parameters: number | null;
  readonly test: MeasurementRecord['test'];
}

/** llama-bench's defaults (cmd_params_defaults) of what our records do not hold, because our engines set just these. */
const FIXED_VALUES = {
  cpu_mask: '0x0',
  cpu_strict: '0',
  poll: '50',
  split_mode: 'layer',
  main_gpu: '0',
  no_kv_offload: '0',
  devices: 'auto',
  tensor_split: '0.00',
  tensor_buft_overrides: 'none',
  load_mode: 'auto',
  lazy_mode: 'auto',
  embeddings: '0',
  no_op_offload: '0',
  no_host: '0',
  fit_target: '0',
  fit_min_ctx: '0',
} as const;

const FLASH_ATTENTION = { on: '1', off: '0', auto: '-1' } as const;

/** Decimals of std::to_string(double). */
const TO_STRING_DECIMALS = 6;

/** The row of a measured record; null for failures and for records that make no number. */
export function llamaBenchRow(record: MeasurementRecord): LlamaBenchRow | null {
  const samplesNanoseconds = fullSamplesNanoseconds(record);
  if (samplesNanoseconds === null) return null;
  const { engine, model, settings, test } = record;
  const tokens = test.promptTokens + test.generatedTokens;
  const samplesTokensPerSecond = samplesNanoseconds.map((time) => (1e9 * tokens) / time);
  const averageTokensPerSecond = average(samplesTokensPerSecond);
  const deviationTokensPerSecond = deviation(samplesTokensPerSecond);
  return {
    values: {
      ...FIXED_VALUES,
      build_commit: engine.buildCommit,
      // llama-bench itself prints 0 for a build that does not know its number.
      build_number: String(engine.buildNumber ?? 0),
      cpu_info: engine.cpuInfo,
      gpu_info: engine.gpuInfo,
      backends: engine.backends,
      model_filename: model.file,
      model_type: model.description,
      model_size: integerText(model.sizeBytes),
      model_n_params: integerText(model.parameters),
      n_batch: String(settings.batchTokens),
      n_ubatch: String(settings.ubatchTokens),
      n_threads: String(settings.threads),
      type_k: settings.cacheTypeK,
      type_v: settings.cacheTypeV,
      n_gpu_layers: String(settings.gpuLayers),
      n_cpu_moe: String(settings.cpuMoeLayers),
      flash_attn: FLASH_ATTENTION[settings.flashAttention],
      n_prompt: String(test.promptTokens),
      n_gen: String(test.generatedTokens),
      n_depth: String(test.depthTokens),
      // llama-bench writes whole seconds.
      test_time: record.startedAt.replace(/\.\d+(?=Z$)/, ''),
      avg_ns: String(integerAverage(samplesNanoseconds)),
      stddev_ns: String(integerDeviation(samplesNanoseconds)),
      avg_ts: formatFixed(averageTokensPerSecond, TO_STRING_DECIMALS),
      stddev_ts: formatFixed(deviationTokensPerSecond, TO_STRING_DECIMALS),
    },
    samplesNanoseconds,
    samplesTokensPerSecond,
    averageTokensPerSecond,
    deviationTokensPerSecond,
    sizeBytes: model.sizeBytes,
    parameters: model.parameters,
    test,
  };
}

const integerText = (value: number | null): string | null => (value === null ? null : value.toFixed(0));

const average = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** llama-bench's own formula, in its order of operations, so that the last decimal agrees. */
function deviation(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const centre = average(values);
  const squares = values.reduce((sum, value) => sum + value * value, 0);
  const rest = values.length - 1;
  // Cancellation can leave less than nothing of equal samples, which llama-bench prints as -nan.
  return Math.sqrt(Math.max(0, squares / rest - (centre * centre * values.length) / rest));
}

function integerAverage(values: readonly number[]): bigint {
  return values.reduce((sum, value) => sum + BigInt(value), 0n) / BigInt(values.length);
}

/**
 * llama-bench's formula in whole numbers with its rounding down. Its 64 bits overflow from about 4 s per repetition
 * on, and what it prints then means nothing; here the numbers are as large as they need be.
 */
function integerDeviation(values: readonly number[]): bigint {
  if (values.length < 2) return 0n;
  const count = BigInt(values.length);
  const centre = integerAverage(values);
  const squares = values.reduce((sum, value) => sum + BigInt(value) ** 2n, 0n);
  const variance = squares / (count - 1n) - (centre * centre * count) / (count - 1n);
  return BigInt(Math.floor(Math.sqrt(Number(variance))));
}
