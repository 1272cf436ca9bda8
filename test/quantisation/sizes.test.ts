import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compareSize, EXCEPTIONS, exceptionTable, publishedSizes } from './sizes.ts';

const SIZES = publishedSizes();
const compared = SIZES.map((published) => ({
  key: `${published.model} ${published.quantisation}`,
  published,
  comparison: compareSize(published),
}));

describe('published sizes', () => {
  it('of tensors are met to the byte and of files within half a percent, but for named exceptions', () => {
    const apart = compared.filter(({ comparison }) => comparison.outcome === 'apart');
    expect(apart.map(({ key }) => key).sort()).toEqual(Object.keys(EXCEPTIONS).sort());
  });

  it('are met in numbers', () => {
    const count = (outcome: string): number =>
      compared.filter(({ comparison }) => comparison.outcome === outcome).length;
    expect(SIZES).toHaveLength(205);
    expect(count('exact')).toBeGreaterThanOrEqual(50);
    expect(count('within')).toBeGreaterThanOrEqual(101);
  });

  it('that are not met are listed in the documentation with their reasons', () => {
    const page = readFileSync(new URL('../../docs/gguf.md', import.meta.url), 'utf8');
    expect(page).toContain(exceptionTable());
  });
});
