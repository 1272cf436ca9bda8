import { describe, expect, test } from 'vitest';
import { formatFixed, formatGeneral } from './c-numbers.ts';

describe("C's number formats", () => {
  test.each([
    [0, 2, '0.00'],
    [0.125, 2, '0.12'],
    [0.375, 2, '0.38'],
    [0.0078125, 6, '0.007812'],
    [1.005, 2, '1.00'],
    [-2.5, 0, '-2'],
    [40686.0374491, 6, '40686.037449'],
    [123456789012345, 6, '123456789012345.000000'],
  ])('fixed: %d with %d decimals is %s', (value, decimals, text) => {
    expect(formatFixed(value, decimals)).toBe(text);
  });

  test.each([
    [0, '0'],
    [43100, '43100'],
    [38272.1, '38272.1'],
    [15303.04, '15303'],
    [0.5, '0.5'],
    [0.00012345678, '0.000123457'],
    [0.000012345678, '1.23457e-05'],
    [999999.9, '1e+06'],
    [1234567, '1.23457e+06'],
    [100, '100'],
  ])('general: %d is %s', (value, text) => {
    expect(formatGeneral(value)).toBe(text);
  });
});
