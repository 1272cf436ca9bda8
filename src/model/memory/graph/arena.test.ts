import { describe, expect, it } from 'vitest';
import { Arena } from './arena.ts';

/** Places blocks of these sizes one after the other, and says where. */
function place(arena: Arena, sizes: readonly number[]): number[] {
  return sizes.map((size) => {
    arena.allocate(arena.padded(size));
    return arena.offset;
  });
}

describe('a growing buffer', () => {
  it('pads to its alignment', () => {
    expect(place(new Arena({ alignment: 32, maxChunkBytes: 2 ** 30 }), [1, 33, 32])).toEqual([0, 32, 96]);
  });

  it('fills the smallest gap that is large enough before it grows', () => {
    const arena = new Arena({ alignment: 16, maxChunkBytes: 2 ** 30 });
    place(arena, [64, 16, 32, 16]);
    arena.release(0, 0, 64);
    arena.release(0, 80, 32);
    expect(place(arena, [32, 48])).toEqual([80, 0]);
    expect(arena.bytes).toBe(128);
  });

  it('begins another part where the first has reached its largest size', () => {
    const arena = new Arena({ alignment: 16, maxChunkBytes: 128 });
    place(arena, [128, 64]);
    expect([arena.chunk, arena.offset]).toEqual([1, 0]);
    expect(arena.bytes).toBe(192);
  });

  it('joins what is given back with the gaps on both sides', () => {
    const arena = new Arena({ alignment: 16, maxChunkBytes: 2 ** 30 });
    place(arena, [16, 16, 16, 16]);
    arena.release(0, 0, 16);
    arena.release(0, 32, 16);
    arena.release(0, 16, 16);
    expect(place(arena, [48])).toEqual([0]);
  });
});
