import { describe, expect, it } from 'vitest';
import { SYNTHETIC_ARCHITECTURES } from '../../architectures/registry.ts';
import { hasGraph } from './graph-bytes.ts';

describe('graphs of architectures', () => {
  it('are known for every architecture whose tensors are', () => {
    expect(SYNTHETIC_ARCHITECTURES.filter((each) => !hasGraph(each))).toEqual([]);
  });
});
