import { describe, expect, test } from 'vitest';
import { exampleRecord, failedWith, firstLayers } from '../../test/fixtures/measurement-record.ts';
import type { MeasurementRecord } from '../measure/index.ts';
import { renderRecordTable } from './record-table.ts';

const base = exampleRecord();
const pp = exampleRecord();
const tg = exampleRecord({
  test: { promptTokens: 0, generatedTokens: 128, depthTokens: 4096 },
  exampleRuns: [{ layers: null, samplesNanoseconds: [3e9, 3.1e9, 2.9e9, 3e9, 3e9, 9e9] }],
});
const sampled = exampleRecord({
  test: { promptTokens: 512, generatedTokens: 128, depthTokens: 0 },
  exampleRuns: [4, 8].map((count) => ({
    layers: firstLayers(count),
    samplesNanoseconds: [count * 1e8, count * 1e8],
  })),
});
const failed = exampleRecord({
  test: { promptTokens: 512, generatedTokens: 0, depthTokens: 65536 },
  ...failedWith(
    'out-of-memory',
    'The engine failed while loading tiny.gguf: unable to allocate 96 GiB. To go on: try a shorter context.',
  ),
});

const widest = (text: string): number => Math.max(...text.split('\n').map((line) => line.length));

describe('the table of records', () => {
  test('says what is common above, and shows only what differs in columns', () => {
    expect(renderRecordTable([pp, tg, sampled, failed])).toMatchInlineSnapshot(`
      "model tiny.gguf (llama ?B Q4_0), engine embedded:cpu, build 0ad4a86 (1), backend CPU,
      device AMD EPYC, threads 1, ngl all, batch 2048, ubatch 512, ctk f16, ctv f16, fa auto

       test            tokens/s  95 % interval  n  note
      ────────────────────────────────────────────────────────────────────────────────────────────────────
       pp512               1024  ± 2.0 %        5
       tg128 @ d4096       42.7  21.2–43.4      6  1 outlier
       pp512+tg128          200  ± 7.1 %        2  layers 4+8 of 32
       pp512 @ d65536  out-of-memory: The engine failed while loading tiny.gguf: unable to allocate 96
                       GiB. To go on: try a shorter context.
      "
    `);
  });

  test('gives a differing setting its column', () => {
    const other = exampleRecord({ settings: { ...base.settings, ubatchTokens: 1024, cacheTypeK: 'q8_0' } });
    const text = renderRecordTable([pp, other]);
    expect(text).toMatch(/^ ubatch +ctk +test +tokens\/s +95 % interval +n +note$/m);
    expect(text).toMatch(/^ 1024 +q8_0 +pp512 +1024 /m);
    expect(text.split('\n\n')[0]).not.toMatch(/ubatch|ctk/);
  });

  test('stays within 100 columns, whatever differs and however long the words are', () => {
    const records = Array.from({ length: 4 }, (_, index): MeasurementRecord => {
      const text = `${index}-`.padEnd(20 * (index + 1), 'long ');
      return exampleRecord({
        model: { ...base.model, name: text, description: text.repeat(2) },
        engine: { ...base.engine, id: `llama-bench:/${text}`, backends: `${text},RPC`, cpuInfo: text },
        machine: { ...base.machine, stateHash: `${index}`.repeat(64) },
        settings: { ...base.settings, threads: index, ubatchTokens: index + 1, cacheTypeK: `q${index}_0` },
        warnings: [text],
        ...(index === 3 ? failedWith('crashed', text.repeat(9)) : {}),
      });
    });
    expect(widest(renderRecordTable(records))).toBeLessThanOrEqual(100);
    expect(widest(renderRecordTable(records.slice(2, 3)))).toBeLessThanOrEqual(100);
  });

  test('shows neither NaN nor undefined nor null for what is not known', () => {
    const bare = exampleRecord({
      model: { ...base.model, description: null, sizeBytes: null, parameters: null, layers: null },
      machine: { ...base.machine, cpu: null, memoryBytes: null },
      engine: { ...base.engine, cpuInfo: '', version: null },
      exampleRuns: [{ layers: null, samplesNanoseconds: [1e9] }],
    });
    const flat = exampleRecord({
      exampleRuns: [4, 8].map((count) => ({ layers: firstLayers(count), samplesNanoseconds: [1e8] })),
    });
    const text = renderRecordTable([bare, flat]);
    expect(text).not.toMatch(/NaN|undefined|null|Infinity/);
    expect(text).toMatch(/no number: the runs with 4 and 8 layers/);
    expect(text).toMatch(/ 512 +unknown +1/);
  });

  test('marks failures through the palette only', () => {
    const text = renderRecordTable([pp, failed], {
      strong: (words) => words,
      faint: (words) => words,
      bad: (words) => `\u001b[31m${words}\u001b[39m`,
    });
    expect(text).toContain('\u001b[31mout-of-memory');
  });

  test('says so when there is nothing to show', () => {
    expect(renderRecordTable([])).toBe('No records.\n');
  });
});
