import { readFileSync } from 'node:fs';
import { assert, constantFrom, property, stringMatching } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readModelRecords } from './host/index.ts';
import { modelKey, namesOfRecord, resolveModelLabel } from './model-label.ts';

const RECORDS = readModelRecords();

/** Labels of published measurements: label, number of weights, rows, and what they mean; null: no model that is known. */
type Labelled = readonly [
  label: string,
  parameters: number | null,
  rows: number,
  id: string | null,
  quantisation: string | null,
];
const LABELS = JSON.parse(
  readFileSync(new URL('../../test/fixtures/model-labels.json', import.meta.url), 'utf8'),
) as readonly Labelled[];

const resolve = (label: string, parameters: number | null = null): string | null => {
  const found = resolveModelLabel(label, RECORDS, parameters);
  return found === null ? null : `${found.record.id}:${found.quantisation ?? ''}`;
};

describe('labels of published measurements', () => {
  it.each(LABELS)('%s (%s) over %s rows mean %s, %s', (label, parameters, _, id, quantisation) => {
    const found = resolveModelLabel(label, RECORDS, parameters);
    expect(found?.record.id ?? null).toBe(id);
    expect(found?.quantisation ?? null).toBe(quantisation);
  });

  it('resolve for more than 98 of 100 rows', () => {
    const sum = (labels: readonly Labelled[]): number => labels.reduce((rows, each) => rows + each[2], 0);
    expect(sum(LABELS)).toBe(16_230);
    expect(sum(LABELS.filter((each) => each[3] !== null)) / sum(LABELS)).toBeGreaterThan(0.98);
  });
});

describe('resolving a label', () => {
  it('takes an id, a repository, a GGUF repository with a tag and a file of a split alike', () => {
    for (const label of [
      'qwen3-30b-a3b',
      'Qwen/Qwen3-30B-A3B',
      'unsloth/Qwen3-30B-A3B-GGUF',
      'bartowski/Qwen_Qwen3-30B-A3B-GGUF',
      'Qwen3 30B A3B',
    ]) {
      expect(resolve(label)).toBe('qwen3-30b-a3b:');
    }
    expect(resolve('unsloth/Qwen3-30B-A3B-GGUF:UD-Q4_K_XL')).toBe('qwen3-30b-a3b:UD-Q4_K_XL');
    expect(resolve('/models/BF16/Qwen3-30B-A3B-BF16-00001-of-00002.gguf')).toBe('qwen3-30b-a3b:BF16');
    expect(resolve('Qwen3-30B-A3B-UD-IQ2_XXS.gguf')).toBe('qwen3-30b-a3b:UD-IQ2_XXS');
    expect(resolve('shisa-v2-llama3.1-8b.i1-Q4_K_M')).toBe('llama-3.1-8b:Q4_K_M');
  });

  it('guesses nothing: what is left over has to be a name', () => {
    const strangers = [
      'Qwen3-30B',
      'Qwen3-30B-A3B-REAP',
      'Llama-3-18B',
      'Llama-3.1-8B-pruned-4B',
      'Qwen2.5-1.5',
      'gemma-2b-it',
      'phi-3',
      'GLM-4.5-Air-REAP-82B',
      'gpt-oss-120b-pruned',
      'DeepSeek-R1-Distill-Qwen-70B',
      'DeepSeek-R1-Distill-Llama',
      'model',
      'Q4_K_M',
      '.gguf',
      '',
    ];
    expect(strangers.filter((label) => resolve(label) !== null)).toEqual([]);
  });

  it('keeps neighbours apart', () => {
    expect(resolve('Llama-3-8B-Instruct')).toBe('llama-3-8b:');
    expect(resolve('Llama-3.1-8B-Instruct')).toBe('llama-3.1-8b:');
    expect(resolve('Qwen3-Coder-30B-A3B-Instruct')).toBe('qwen3-coder-30b-a3b:');
    expect(resolve('DeepSeek-R1-Distill-Qwen-32B')).toBe('deepseek-r1-distill-qwen-32b:');
    expect(resolve('DeepSeek-R1')).toBe('deepseek-r1:');
    expect(resolve('gemma-3n-E4B-it')).toBe('gemma-3n-e4b:');
    expect(resolve('gemma-3-4b-it')).toBe('gemma-3-4b:');
    expect(resolve('GLM-4.5')).toBe('glm-4.5:');
    expect(resolve('GLM-4.5-Air')).toBe('glm-4.5-air:');
  });

  it("takes llama-bench's descriptions only with the number of weights, and only when one shape has it", () => {
    expect(resolve('llama 8B Q4_K - Medium')).toBeNull();
    expect(resolve('llama 8B Q4_K - Medium', 8.03e9)).toBe('llama-3-8b:Q4_K_M');
    expect(resolve('llama 7B Q4_0', 6.74e9)).not.toBe('mistral-7b-v0.1:Q4_0');
    expect(resolve('llama 7B Q4_0', 7.24e9)).toBe('mistral-7b-v0.1:Q4_0');
    expect(resolve('llama 8B Q4_0', 4e9)).toBeNull();
  });

  it('has one record for each name, however it is spelled', () => {
    const owners = new Map<string, Set<string>>();
    for (const record of RECORDS) {
      for (const name of namesOfRecord(record)) {
        const key = modelKey(name.split('/').at(-1) ?? '');
        owners.set(key, (owners.get(key) ?? new Set()).add(record.id));
      }
    }
    expect(owners.size).toBeGreaterThan(RECORDS.length);
    expect([...owners].filter(([, ids]) => ids.size > 1)).toEqual([]);
    expect(owners.has('')).toBe(false);
  });

  it('never makes another model of a name with words added', () => {
    const names = RECORDS.flatMap((record) =>
      namesOfRecord(record).map((name) => ({ id: record.id, base: name.split('/').at(-1) ?? '' })),
    );
    assert(
      property(constantFrom(...names), stringMatching(/^[a-z0-9]{1,8}$/), ({ id, base }, word) => {
        const found = resolveModelLabel(`${base}-${word}`, RECORDS);
        const known = names.some((each) => modelKey(each.base) === modelKey(`${base}-${word}`));
        expect(found !== null).toBe(known);
        expect(resolveModelLabel(base, RECORDS)?.record.id).toBe(id);
      }),
      { seed: 3, numRuns: 500 },
    );
  });

  it('answers in time for a label of absurd length', () => {
    expect(resolve('x'.repeat(100_000))).toBeNull();
    expect(resolve(`${'-'.repeat(299)}Q`)).toBeNull();
  });
});
