import { describe, expect, it } from 'vitest';
import { durationText, intervalText } from './interval-text.ts';
import { letterOf } from './lettered.ts';

describe('an interval', () => {
  it('is short', () => {
    expect(intervalText({ value: 687.8, low: 478.2, high: 991.6 })).toBe('688 (478–992)');
  });

  it.each([
    [0.757, '757 ms (379–1514)'],
    [0.99981, '1.00 s (0.500–2.00)'],
    [599, '599 s (300–1198)'],
    [600, '10.0 min (5.00–20.0)'],
    [36_000, '10.0 h (5.00–20.0)'],
  ])('of %d s has one unit: %s', (value, text) => {
    expect(durationText({ value, low: value / 2, high: value * 2 })).toBe(text);
  });
});

describe('letters', () => {
  it('go on after Z', () => {
    expect([0, 25, 26, 27, 52].map(letterOf)).toEqual(['A', 'Z', 'AA', 'AB', 'BA']);
  });
});
