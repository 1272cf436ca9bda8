import { describe, expect, it } from 'vitest';
import { readModelRecords } from './host/index.ts';
import { resolveModelName } from './model-name.ts';

const RECORDS = readModelRecords();
const QUANTISATIONS = ['Q4_K_M', 'Q4_0', 'MXFP4', 'F16'];
const resolve = (text: string): string => {
  const { record, quantisation } = resolveModelName(text, RECORDS, QUANTISATIONS);
  return `${record.id}:${quantisation}`;
};

describe('resolving the name of a model', () => {
  it('takes ids, repositories and aliases in any case', () => {
    expect(resolve('llama-3.1-8b:Q4_0')).toBe('llama-3.1-8b:Q4_0');
    expect(resolve('LLAMA-3.1-8B:q4_0')).toBe('llama-3.1-8b:Q4_0');
    expect(resolve('Qwen/Qwen3-30B-A3B:F16')).toBe('qwen3-30b-a3b:F16');
    expect(resolve('unsloth/qwen3-30b-a3b-gguf:Q4_K_M')).toBe('qwen3-30b-a3b:Q4_K_M');
  });

  it('means the native quantisation, or Q4_K_M, when none is given', () => {
    expect(resolve('gpt-oss-20b')).toBe('gpt-oss-20b:MXFP4');
    expect(resolve('llama-3.2-1b')).toBe('llama-3.2-1b:Q4_K_M');
  });

  it('names the nearest ids for an unknown model', () => {
    expect(() => resolve('qwen3-30b-a3:Q4_0')).toThrow(
      /no model 'qwen3-30b-a3'.*nearest names are qwen3-30b-a3b/,
    );
  });

  it('lists the known quantisations for an unknown one', () => {
    expect(() => resolve('llama-2-7b:Q9_X')).toThrow(
      /'Q9_X' of llama-2-7b is not known; known are Q4_K_M, Q4_0/,
    );
    expect(() => resolve('llama-2-7b:')).toThrow(/quantisation ''/);
  });

  it('answers in time for a name of absurd length', () => {
    expect(() => resolve('x'.repeat(100_000))).toThrow(/no model/);
  });
});
