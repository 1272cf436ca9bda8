import { describe, expect, it } from 'vitest';
import { readModelRecords } from '../../catalog/host/index.ts';
import { SYNTHETIC_ARCHITECTURES } from './registry.ts';

const ofCatalogue = [...new Set(readModelRecords().map(({ architecture }) => architecture))].sort();

describe('the tables of architectures', () => {
  it('cover the catalogue', () => {
    expect(ofCatalogue.length).toBeGreaterThan(50);
    expect(ofCatalogue.filter((id) => !SYNTHETIC_ARCHITECTURES.includes(id))).toEqual([]);
  });
});
