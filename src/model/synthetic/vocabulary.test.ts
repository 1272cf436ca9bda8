import { describe, expect, it } from 'vitest';
import { MIN_VOCABULARY, vocabularyMetadata } from './vocabulary.ts';

function tokensOf(size: number): readonly string[] {
  const value = new Map(vocabularyMetadata(size)).get('tokenizer.ggml.tokens');
  if (value?.type !== 'string[]') throw new Error('the tokens are a list of strings');
  return value.value;
}

describe('the vocabulary of a synthetic model', () => {
  it('has the wanted size and no token twice', () => {
    const tokens = tokensOf(201_088);
    expect(tokens).toHaveLength(201_088);
    expect(new Set(tokens).size).toBe(201_088);
  });

  it('begins with the special tokens and the bytes, then counts in letters', () => {
    const tokens = tokensOf(1000);
    expect(tokens.slice(0, 5)).toEqual(['<unk>', '<s>', '</s>', '<|endoftext|>', '<0x00>']);
    expect(tokens[259]).toBe('<0xFF>');
    expect([tokens[260], tokens[285], tokens[286], tokens[287]]).toEqual(['a', 'z', 'aa', 'ab']);
  });

  it('cannot be smaller than the bytes', () => {
    expect(tokensOf(MIN_VOCABULARY)).toHaveLength(260);
    expect(() => vocabularyMetadata(259)).toThrow(/at least 260 tokens; 259/);
  });
});
