import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { exampleRecord, failedWith, firstLayers } from '../../test/fixtures/measurement-record.ts';
import type { MeasurementRecord } from '../measure/index.ts';
import { renderLlamaBench } from './llama-bench-formats.ts';
import { LLAMA_BENCH_FIELDS } from './llama-bench-row.ts';

/**
 * Captured from llama-bench 0.5.0, one run in two formats at once, so that the JSON tells the samples of the other:
 * `llama-bench -m tiny.gguf -p 16 -n 4 -pg 16,4 -d 0,8 -r 4 -t 1 -o json -oe <format>`.
 */
const captured = (name: string): string =>
  readFileSync(path.join(import.meta.dirname, '../../test/fixtures/llama-bench-output', name), 'utf8');

const capturedRows = z.array(
  z.object({
    n_prompt: z.number(),
    n_gen: z.number(),
    n_depth: z.number(),
    test_time: z.string(),
    samples_ns: z.array(z.number()),
  }),
);

/** The records that ridgepoint would have kept of that run. */
const recordsOf = (json: string): MeasurementRecord[] =>
  capturedRows.parse(JSON.parse(json)).map((row) =>
    exampleRecord({
      startedAt: row.test_time.replace('Z', '.731Z'),
      test: { promptTokens: row.n_prompt, generatedTokens: row.n_gen, depthTokens: row.n_depth },
      exampleRuns: [{ layers: null, samplesNanoseconds: row.samples_ns }],
    }),
  );

const sqlite = (sql: string): string | null => {
  const script = `import sqlite3, sys
connection = sqlite3.connect(":memory:")
connection.executescript(sys.stdin.read())
print(*connection.execute("SELECT count(*), min(avg_ns), min(model_filename), typeof(avg_ts) FROM llama_bench").fetchone())`;
  const python = spawnSync('python3', ['-c', script], { input: sql, encoding: 'utf8' });
  const missing = python.error !== undefined || python.stderr.includes('ModuleNotFoundError');
  return missing ? null : python.stdout.trim() + python.stderr;
};

describe("llama-bench's own output", () => {
  test.each(['jsonl', 'csv', 'sql', 'md'] as const)('is repeated byte for byte as %s', (format) => {
    const json = captured(`${format}.json`);
    const records = recordsOf(json);
    expect(records.length).toBe(6);
    expect(renderLlamaBench(records, 'json')).toBe(json);
    expect(renderLlamaBench(records, format)).toBe(captured(`tiny.${format}`));
  });

  test('is SQL that SQLite loads, quotes and unknown values included', ({ skip }) => {
    const { model } = exampleRecord();
    const quoted = exampleRecord({ model: { ...model, file: `it's "a" model.gguf`, sizeBytes: null } });
    const sql = renderLlamaBench([quoted], 'sql');
    expect(sql).toContain(`'it''s "a" model.gguf'`);
    const loaded = sqlite(sql);
    if (loaded === null) skip('python3 with sqlite3 is not installed');
    expect(loaded).toBe(`1 500000000 it's "a" model.gguf real`);
  });
});

describe('the rows', () => {
  test('leave out failures and what makes no number', () => {
    const failed = exampleRecord(failedWith('crashed', 'It died.'));
    const flat = exampleRecord({
      exampleRuns: [4, 8].map((count) => ({ layers: firstLayers(count), samplesNanoseconds: [1e8, 1e8] })),
    });
    expect(renderLlamaBench([failed, flat], 'jsonl')).toBe('');
    expect(JSON.parse(renderLlamaBench([failed, flat], 'json'))).toEqual([]);
  });

  test('show the whole of a layer-sampled model', () => {
    const record = exampleRecord({
      model: { ...exampleRecord().model, description: 'llama 8B Q4_K - Medium', sizeBytes: 4912898304 },
      exampleRuns: [
        { layers: firstLayers(4), samplesNanoseconds: [1e8, 1.1e8] },
        { layers: firstLayers(8), samplesNanoseconds: [1.5e8, 1.6e8] },
      ],
    });
    const row: unknown = JSON.parse(renderLlamaBench([record], 'jsonl'));
    expect(row).toMatchObject({
      model_type: 'llama 8B Q4_K - Medium',
      model_size: 4912898304,
      samples_ns: [450000000, 460000000],
      avg_ns: 455000000,
    });
  });

  test('keep the deviation of repetitions so long that 64 bits overflow', () => {
    const record = exampleRecord({ exampleRuns: [{ layers: null, samplesNanoseconds: [60e9, 62e9] }] });
    expect(JSON.parse(renderLlamaBench([record], 'jsonl'))).toMatchObject({ stddev_ns: 1414213562 });
  });

  test('are valid JSON and CSV whatever the texts hold, with null for the unknown', () => {
    const odd = 'a "b" \\ \u0001 é';
    const base = exampleRecord();
    const record = exampleRecord({
      model: { ...base.model, description: odd, parameters: null },
      settings: { ...base.settings, flashAttention: 'on' },
    });
    const row: unknown = JSON.parse(renderLlamaBench([record], 'jsonl'));
    expect(row).toMatchObject({ model_type: odd, model_n_params: null, flash_attn: 1, no_host: false });
    expect(renderLlamaBench([record], 'csv')).toContain('"a ""b"" \\ \u0001 é"');
  });

  test('hold every field that compare-llama-bench.py asks for', () => {
    // LLAMA_BENCH_DB_FIELDS of scripts/compare-llama-bench.py, release 0.5.0.
    const wanted =
      'build_commit build_number cpu_info gpu_info backends model_filename model_type model_size model_n_params n_batch n_ubatch n_threads cpu_mask cpu_strict poll type_k type_v n_gpu_layers split_mode main_gpu no_kv_offload flash_attn tensor_split tensor_buft_overrides load_mode embeddings no_op_offload n_prompt n_gen n_depth test_time avg_ns stddev_ns avg_ts stddev_ts n_cpu_moe fit_target fit_min_ctx';
    const names = new Set<string>(LLAMA_BENCH_FIELDS.map(([name]) => name));
    expect(wanted.split(' ').filter((name) => !names.has(name))).toEqual([]);
  });
});

describe('the Markdown columns', () => {
  const withSettings = (engine: object, settings: object): MeasurementRecord => {
    const base = exampleRecord();
    return exampleRecord({
      engine: { ...base.engine, ...engine },
      settings: { ...base.settings, ...settings },
    });
  };
  const header = (records: MeasurementRecord[], defaultThreads: number | null = null): string =>
    (renderLlamaBench(records, 'md', { defaultThreads }).split('\n')[0] ?? '').replaceAll(/ +/g, ' ');

  test('are the GPU layers on a GPU, and the threads where they are not the default', () => {
    const gpu = withSettings({ backends: 'Vulkan' }, { threads: 8 });
    expect(header([gpu], 8)).toBe('| model | size | params | backend | ngl | test | t/s |');
    expect(header([gpu], 16)).toContain('| ngl | threads |');
  });

  test('are the settings that differ or are not the default', () => {
    const gpu = { backends: 'CUDA' };
    const records = [
      withSettings(gpu, { cacheTypeK: 'q8_0', ubatchTokens: 512 }),
      withSettings(gpu, { cacheTypeK: 'q8_0', ubatchTokens: 1024, cpuMoeLayers: 0 }),
    ];
    expect(header(records)).toBe(
      '| model | size | params | backend | ngl | n_ubatch | type_k | test | t/s |',
    );
  });
});
