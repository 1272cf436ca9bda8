import { formatFixed } from './c-numbers.ts';
import { LLAMA_BENCH_FIELDS, type LlamaBenchField, type LlamaBenchRow } from './llama-bench-row.ts';
import { testName } from './test-name.ts';

export interface LlamaBenchMarkdownOptions {
  /**
   * Threads that llama-bench would take by itself on this machine: a single other number gets a column.
   * null: not known; then only differing numbers get one.
   */
  readonly defaultThreads: number | null;
}

type Column = LlamaBenchField | 'model' | 'size' | 'params' | 'backend' | 'test' | 't/s';

/** Backends whose table shows threads and not GPU layers (markdown_printer::print_header). */
const CPU_BACKENDS = ['CPU', 'BLAS', 'ZenDNN'];

/** Settings that get a column when they differ, or are not llama-bench's default, in its order. */
const SETTING_DEFAULTS = [
  ['n_batch', '2048'],
  ['n_ubatch', '512'],
  ['type_k', 'f16'],
  ['type_v', 'f16'],
  ['flash_attn', '-1'],
] as const satisfies readonly (readonly [LlamaBenchField, string])[];

/** Widths and names as markdown_printer has them; negative is left-aligned. */
const WIDTHS: Partial<Record<Column, number>> = {
  model: -30,
  't/s': 20,
  size: 10,
  params: 10,
  n_gpu_layers: 3,
  n_threads: 7,
  n_batch: 7,
  n_ubatch: 8,
  type_k: 6,
  type_v: 6,
  flash_attn: 3,
  test: 15,
};
const LEAST_WIDTH = 10;
const DISPLAY_NAMES: Partial<Record<Column, string>> = {
  n_gpu_layers: 'ngl',
  n_threads: 'threads',
  flash_attn: 'fa',
};
const NUMERIC_FIELDS = new Set<string>(
  LLAMA_BENCH_FIELDS.filter(([, type]) => type !== 'string').map(([name]) => name),
);

/** llama-bench's Markdown table, with the build (or the builds) below it. */
export function renderLlamaBenchMarkdown(
  rows: readonly LlamaBenchRow[],
  options: LlamaBenchMarkdownOptions,
): string {
  const columns = chooseColumns(rows, options);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const lines = [
    line(columns.map((column) => pad(DISPLAY_NAMES[column] ?? column, widthOf(column)))),
    line(
      columns.map((column) => '-'.repeat(Math.abs(widthOf(column)) - 1) + (widthOf(column) > 0 ? ':' : '-')),
    ),
    // The table of llama-bench pads this cell by one more, for the second byte of its plus-minus sign.
    ...rows.map((row) =>
      line(columns.map((column) => pad(cell(row, column), widthOf(column) + (column === 't/s' ? 1 : 0)))),
    ),
    '',
    ...new Set(rows.map(({ values }) => `build: ${values.build_commit} (${values.build_number})`)),
  ];
  return `${lines.join('\n')}\n`;
}

function chooseColumns(
  rows: readonly LlamaBenchRow[],
  { defaultThreads }: LlamaBenchMarkdownOptions,
): Column[] {
  const distinct = (field: LlamaBenchField): Set<string | null> =>
    new Set(rows.map((row) => row.values[field]));
  const stands = (field: LlamaBenchField, normal: string | null): boolean => {
    const values = distinct(field);
    return values.size > 1 || (normal !== null && values.size > 0 && !values.has(normal));
  };
  const cpu = new Set(rows.map(({ values }) => CPU_BACKENDS.some((name) => values.backends?.includes(name))));
  const columns: Column[] = ['model', 'size', 'params', 'backend'];
  if (cpu.has(false)) columns.push('n_gpu_layers');
  if (stands('n_cpu_moe', '0')) columns.push('n_cpu_moe');
  if (cpu.has(true) || stands('n_threads', defaultThreads === null ? null : String(defaultThreads))) {
    columns.push('n_threads');
  }
  for (const [field, normal] of SETTING_DEFAULTS) if (stands(field, normal)) columns.push(field);
  return [...columns, 'test', 't/s'];
}

function widthOf(column: Column): number {
  const set = WIDTHS[column];
  if (set !== undefined) return set;
  const width = Math.max(column.length, LEAST_WIDTH);
  return NUMERIC_FIELDS.has(column) ? width : -width;
}

/** printf pads to bytes, not to letters. */
function pad(text: string, width: number): string {
  const fill = ' '.repeat(Math.max(0, Math.abs(width) - new TextEncoder().encode(text).length));
  return width < 0 ? text + fill : fill + text;
}

const UNKNOWN = '?';

const COMPOSED_CELLS: Record<Exclude<Column, LlamaBenchField>, (row: LlamaBenchRow) => string> = {
  model: ({ values }) => values.model_type ?? UNKNOWN,
  size: ({ sizeBytes }) => (sizeBytes === null ? UNKNOWN : sizeText(sizeBytes)),
  params: ({ parameters }) => (parameters === null ? UNKNOWN : parameterText(parameters)),
  backend: ({ values }) => values.backends ?? UNKNOWN,
  test: ({ test }) => testName(test),
  't/s': (row) =>
    `${formatFixed(row.averageTokensPerSecond, 2)} ± ${formatFixed(row.deviationTokensPerSecond, 2)}`,
};

function cell(row: LlamaBenchRow, column: Column): string {
  return isField(column) ? (row.values[column] ?? UNKNOWN) : COMPOSED_CELLS[column](row);
}

const FIELD_NAMES = new Set<string>(LLAMA_BENCH_FIELDS.map(([name]) => name));
const isField = (column: Column): column is LlamaBenchField => FIELD_NAMES.has(column);

const sizeText = (size: number): string =>
  size < 2 ** 30 ? `${formatFixed(size / 2 ** 20, 2)} MiB` : `${formatFixed(size / 2 ** 30, 2)} GiB`;

const parameterText = (count: number): string =>
  count < 1e9 ? `${formatFixed(count / 1e6, 2)} M` : `${formatFixed(count / 1e9, 2)} B`;
