import type { MeasurementRecord } from '../measure/index.ts';
import { formatGeneral } from './c-numbers.ts';
import { renderLlamaBenchMarkdown, type LlamaBenchMarkdownOptions } from './llama-bench-markdown.ts';
import {
  LLAMA_BENCH_FIELDS,
  llamaBenchRow,
  type LlamaBenchFieldType,
  type LlamaBenchRow,
} from './llama-bench-row.ts';

export const LLAMA_BENCH_FORMATS = ['md', 'json', 'jsonl', 'csv', 'sql'] as const;
export type LlamaBenchFormat = (typeof LLAMA_BENCH_FORMATS)[number];

const FIELD_NAMES = LLAMA_BENCH_FIELDS.map(([name]) => name);

/**
 * Records as llama-bench 0.5.0 itself prints its results, so that what reads them reads ours. Failures have no place
 * in its schema and are left out; of layer-sampled records the whole model is shown. Where llama-bench's own text
 * would be broken (quotes in SQL, letters beyond ASCII in JSON) ours is not.
 */
export function renderLlamaBench(
  records: readonly MeasurementRecord[],
  format: LlamaBenchFormat,
  markdown: LlamaBenchMarkdownOptions = { defaultThreads: null },
): string {
  const rows = records.map(llamaBenchRow).filter((row) => row !== null);
  const renderers: Record<LlamaBenchFormat, () => string> = {
    md: () => renderLlamaBenchMarkdown(rows, markdown),
    json: () => `[\n${rows.map(jsonObject).join(',\n')}\n]\n`,
    jsonl: () => rows.map(jsonLine).join(''),
    csv: () => `${FIELD_NAMES.join(',')}\n${rows.map(csvLine).join('')}`,
    sql: () => SQL_HEADER + rows.map(sqlInsert).join(''),
  };
  return renderers[format]();
}

function jsonPairs(row: LlamaBenchRow): string[] {
  return LLAMA_BENCH_FIELDS.map(([name, type]) => `"${name}": ${jsonValue(type, row.values[name])}`);
}

function jsonValue(type: LlamaBenchFieldType, value: string | null): string {
  if (value === null) return 'null';
  if (type === 'string') return `"${escapeJson(value)}"`;
  if (type === 'bool') return value === '0' ? 'false' : 'true';
  return value;
}

const escapeJson = (text: string): string =>
  text.replaceAll(/["\\]/g, String.raw`\$&`).replaceAll(
    // oxlint-disable-next-line no-control-regex -- control characters are what JSON forbids
    /[\u0000-\u001f]/g,
    (character) => String.raw`\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

const nanosecondList = (row: LlamaBenchRow): string => `[ ${row.samplesNanoseconds.join(', ')} ]`;
const rateList = (row: LlamaBenchRow): string =>
  `[ ${row.samplesTokensPerSecond.map(formatGeneral).join(', ')} ]`;

function jsonObject(row: LlamaBenchRow): string {
  const lines = [...jsonPairs(row), `"samples_ns": ${nanosecondList(row)}`, `"samples_ts": ${rateList(row)}`];
  return `  {\n${lines.map((line) => `    ${line}`).join(',\n')}\n  }`;
}

/** llama-bench sets no space between the last two members. */
function jsonLine(row: LlamaBenchRow): string {
  return `{${jsonPairs(row).join(', ')}, "samples_ns": ${nanosecondList(row)},"samples_ts": ${rateList(row)}}\n`;
}

function csvLine(row: LlamaBenchRow): string {
  return `${FIELD_NAMES.map((name) => `"${(row.values[name] ?? '').replaceAll('"', '""')}"`).join(',')}\n`;
}

const SQL_TYPES: Record<LlamaBenchFieldType, string> = {
  string: 'TEXT',
  bool: 'INTEGER',
  int: 'INTEGER',
  float: 'REAL',
};

const SQL_HEADER = [
  'CREATE TABLE IF NOT EXISTS llama_bench (',
  LLAMA_BENCH_FIELDS.map(([name, type]) => `  ${name} ${SQL_TYPES[type]}`).join(',\n'),
  ');',
  '',
  '',
].join('\n');

function sqlInsert(row: LlamaBenchRow): string {
  const values = FIELD_NAMES.map((name) => {
    const value = row.values[name];
    return value === null ? 'NULL' : `'${value.replaceAll("'", "''")}'`;
  });
  return `INSERT INTO llama_bench (${FIELD_NAMES.join(', ')}) VALUES (${values.join(', ')});\n`;
}
