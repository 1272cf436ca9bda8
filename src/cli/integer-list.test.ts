import { assert, property, stringMatching } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IntegerListError, parseIntegerList } from './integer-list.ts';

describe('a list of integers', () => {
  it.each([
    ['512', [512]],
    ['512,1024', [512, 1024]],
    ['1-4', [1, 2, 3, 4]],
    ['128-512+128', [128, 256, 384, 512]],
    ['128-500+128', [128, 256, 384]],
    ['128-2048*2', [128, 256, 512, 1024, 2048]],
    ['0,1-2,8-16*2', [0, 1, 2, 8, 16]],
    ['512,512', [512, 512]],
    ['512,', [512]],
    ['5-5', [5]],
  ])('%s is what llama-bench makes of it', (text, values) => {
    expect(parseIntegerList(text)).toEqual(values);
  });

  it('begins below zero only where that means something', () => {
    expect(parseIntegerList('-1', { allowNegative: true })).toEqual([-1]);
    expect(parseIntegerList('-1-1', { allowNegative: true })).toEqual([-1, 0, 1]);
    expect(() => parseIntegerList('-1')).toThrow(IntegerListError);
    expect(() => parseIntegerList('-2', { allowNegative: true, minimum: -1 })).toThrow('the least is -1');
  });

  it.each(['', ',', ',512', '512,,1', ' 512', '512 ', 'abc', '1.5', '1-', '1-2+', '1-2|3', '1--2', '0x10'])(
    'is not made of %j',
    (text) => {
      expect(() => parseIntegerList(text)).toThrow('is no list of integers');
    },
  );

  it.each(['0-10*2', '1-10*1', '1-10+0', '1-10*0', '5-5*1'])('has no range that stands still: %s', (text) => {
    expect(() => parseIntegerList(text)).toThrow('does not grow');
  });

  it('says so where a range ends before it begins, or is far too long, or a number too large', () => {
    expect(() => parseIntegerList('512-128')).toThrow('ends before it begins');
    expect(() => parseIntegerList('1-2000000000')).toThrow('more than 1000 values');
    expect(() => parseIntegerList('2147483648')).toThrow('above 2147483647');
  });

  it('takes any text without hanging, and gives integers or its own error', () => {
    const outcome = (text: string): unknown => {
      try {
        return parseIntegerList(text, { allowNegative: true }).every(Number.isSafeInteger);
      } catch (error) {
        return error instanceof IntegerListError;
      }
    };
    assert(property(stringMatching(/^[0-9,+*-]{0,30}$/), (text) => outcome(text) === true));
  });
});
