import { describe, expect, it } from 'vitest';
import { firstKnown, known, readFrom, unknown } from './fact.ts';

describe('a fact', () => {
  it('keeps the reason of an unknown one when something is read out of it', () => {
    const fact = readFrom(unknown('permission denied', '/proc/x'), 'field', () => 1);
    expect(fact).toEqual({ known: false, reason: 'permission denied', source: '/proc/x: field' });
  });

  it('is unknown where its text does not hold it, and never zero', () => {
    expect(readFrom(known('', '/proc/x'), 'MemTotal', () => undefined)).toEqual({
      known: false,
      reason: 'no MemTotal there',
      source: '/proc/x: MemTotal',
    });
  });

  it('tells the reasons of all sources when none of them knows it', () => {
    const fact = firstKnown(unknown('does not exist', '/a'), unknown('is not installed', 'b'));
    expect(fact).toEqual({
      known: false,
      reason: '/a: does not exist; b: is not installed',
      source: '/a, b',
    });
  });

  it('comes from the first source that knows it', () => {
    expect(firstKnown<number>(unknown('does not exist', '/a'), known(2, '/b'), known(3, '/c'))).toEqual(
      known(2, '/b'),
    );
  });
});
