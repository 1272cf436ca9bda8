import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { encodeMeasurements, type PublishedMeasurement } from '../../src/predict/measurement.ts';

/**
 * Turns a table of published measurements (CSV with the columns named below) into
 * `data/published/measurements.json.gz`. Rows that say nothing about the speed of llama.cpp on one device are left
 * out: failures, rows marked as outliers, runs that used GPU and processor together, other engines.
 */
const OUTPUT = new URL('../../data/published/measurements.json.gz', import.meta.url);

type CsvRow = ReadonlyMap<string, string>;

/** RFC 4180: fields in double quotes may hold commas, line ends and doubled quotes. */
function parseCsv(text: string): CsvRow[] {
  const records: string[][] = [];
  let record: string[] = [];
  let field = '';
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at] ?? '';
    if (quoted) {
      if (letter !== '"') field += letter;
      else if (text[at + 1] === '"') {
        field += '"';
        at += 1;
      } else quoted = false;
    } else if (letter === '"') quoted = true;
    else if (letter === ',' || letter === '\n') {
      record.push(field);
      field = '';
      if (letter === '\n') {
        records.push(record);
        record = [];
      }
    } else if (letter !== '\r') field += letter;
  }
  const [header = [], ...rows] = records;
  return rows.map((values) => new Map(header.map((name, index) => [name, values[index] ?? ''])));
}

const text = (row: CsvRow, name: string): string => row.get(name) ?? '';
const textOrNull = (row: CsvRow, name: string): string | null =>
  text(row, name) === '' ? null : text(row, name);
function number(row: CsvRow, name: string): number | null {
  const value = text(row, name) === '' ? Number.NaN : Number(text(row, name));
  return Number.isFinite(value) ? value : null;
}
const integer = (row: CsvRow, name: string): number | null => {
  const value = number(row, name);
  return value === null ? null : Math.trunc(value);
};

/** GiB of the cards on which one source ran models that do not fit, with layers on the processor, without saying so. */
const MEMORY_GIB: Readonly<Record<string, number>> = {
  'nvidia-rtx-5090': 32,
  'nvidia-rtx-4090': 24,
  'nvidia-rtx-3090': 24,
  'nvidia-rtx-3090-ti': 24,
  'nvidia-rtx-4080': 16,
  'nvidia-rtx-a6000': 48,
  'nvidia-rtx-pro-6000-blackwell': 96,
  'nvidia-rtx-3060': 12,
  'amd-rx-7900-xt': 20,
  'amd-rx-9070-xt': 16,
  'nvidia-rtx-3070': 8,
  'amd-radeon-ai-pro-r9700': 32,
};
const GIB = 2 ** 30;
/** A file of unknown size with one of these names is larger than any single card. */
const LARGE_MODELS = /DeepSeek-(R1|V3|V2\.5)|DS-R1|235B/i;

function overflows(row: CsvRow): boolean {
  const [, device = '', count = '1'] = /^(.*?)(?:-x(\d+))?$/.exec(text(row, 'device')) ?? [];
  const gib = MEMORY_GIB[device];
  if (gib === undefined) return false;
  const capacity = gib * GIB * Number(count) * 0.99;
  const bytes = number(row, 'model_size_bytes');
  return bytes === null ? LARGE_MODELS.test(text(row, 'model')) && capacity < 60e9 : bytes > capacity;
}

function testOf(row: CsvRow): { readonly prompt: number; readonly generated: number } | null {
  const name = text(row, 'test');
  if (name.startsWith('localscore-pp')) return { prompt: 1024, generated: 0 };
  if (name.startsWith('localscore-tg')) return { prompt: 0, generated: 1024 };
  const prompt = integer(row, 'n_prompt') ?? 0;
  const generated = integer(row, 'n_gen') ?? 0;
  if (prompt > 0 || generated > 0) return prompt > 0 && generated > 0 ? null : { prompt, generated };
  const [, kind, count] = name.includes('+') ? [] : (/^(pp|tg)(\d+)/.exec(name) ?? []);
  if (kind === undefined) return null;
  return kind === 'pp' ? { prompt: Number(count), generated: 0 } : { prompt: 0, generated: Number(count) };
}

/** From this day on hipBLASLt makes no difference any more: see src/predict/rocblas.ts. */
const TENSILE_TUNED = '2025-09-24';

/**
 * The backend, with what is known of how rocBLAS multiplied while it made a difference. One source states the
 * variable where it is on, another, whose containers set it, where it is off.
 */
function backendOf(row: CsvRow): string {
  const name = text(row, 'backend');
  const source = text(row, 'source_repo');
  const [, value] = /ROCBLAS_USE_HIPBLASLT=(\d)/.exec(text(row, 'flags')) ?? [];
  const stated = value ?? (source.startsWith('lhl/strix') ? '0' : source.startsWith('kyuz0/') ? '1' : null);
  const matters = name.startsWith('rocm') && text(row, 'date') < TENSILE_TUNED;
  return stated === null || !matters ? name : `${name}+${stated === '1' ? 'hipblaslt' : 'tensile'}`;
}

function measurementOf(row: CsvRow): PublishedMeasurement | null {
  const tokensPerSecond = number(row, 'tps');
  const test = testOf(row);
  const excluded =
    text(row, 'failed') !== '' ||
    text(row, 'notes').includes('QA:outlier') ||
    text(row, 'flags').includes('hybrid-offload') ||
    text(row, 'source_repo').includes('ds4') ||
    overflows(row);
  if (excluded || test === null || tokensPerSecond === null || tokensPerSecond <= 0) return null;
  const flashAttention = number(row, 'fa');
  return {
    tokensPerSecond,
    source: {
      repository: text(row, 'source_repo'),
      path: text(row, 'source_path'),
      commit: textOrNull(row, 'commit'),
    },
    query: {
      id: text(row, 'id'),
      device: text(row, 'device'),
      backend: backendOf(row),
      engine: text(row, 'engine'),
      build: textOrNull(row, 'build'),
      date: textOrNull(row, 'date'),
      model: text(row, 'model'),
      arch: textOrNull(row, 'arch'),
      quant: textOrNull(row, 'quant'),
      modelSizeBytes: integer(row, 'model_size_bytes'),
      nParams: integer(row, 'n_params'),
      nPrompt: test.prompt,
      nGen: test.generated,
      nDepth: integer(row, 'n_depth') ?? 0,
      nBatch: integer(row, 'n_batch'),
      nUbatch: integer(row, 'n_ubatch'),
      flashAttention: flashAttention === null ? null : flashAttention > 0,
      typeK: textOrNull(row, 'type_k'),
      typeV: textOrNull(row, 'type_v'),
      nGpuLayers: integer(row, 'ngl'),
      ...(text(row, 'test').startsWith('localscore') ? { localscoreAverage: true } : {}),
    },
  };
}

const [path] = process.argv.slice(2);
if (path === undefined) {
  process.stderr.write('tsx tools/fit/import-corpus.ts MEASUREMENTS.csv\n');
  process.exitCode = 2;
} else {
  const measurements = parseCsv(readFileSync(path, 'utf8')).flatMap((row) => measurementOf(row) ?? []);
  const packed = gzipSync(JSON.stringify(encodeMeasurements(measurements)), { level: 9 });
  writeFileSync(OUTPUT, packed);
  process.stdout.write(`${measurements.length} measurements, ${packed.length} bytes\n`);
}
