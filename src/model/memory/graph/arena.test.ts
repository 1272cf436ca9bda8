import { describe, expect, it } from 'vitest';
import { Arena } from './arena.ts';

const LIMITS = { alignment: 1, maxChunkBytes: 100 };

function placesOf(arena: Arena, sizes: readonly number[]): [number, number][] {
  return sizes.map((size) => {
    arena.allocate(size);
    return [arena.chunk, arena.offset];
  });
}

describe('a buffer as ggml fills it', () => {
  it('begins another chunk where none has room', () => {
    expect(placesOf(new Arena(LIMITS), [60, 30, 50, 20])).toEqual([
      [0, 0],
      [0, 60],
      [1, 0],
      [1, 50],
    ]);
  });

  it('takes the smallest gap that is large enough', () => {
    const arena = new Arena(LIMITS);
    placesOf(arena, [20, 5, 10, 5]);
    arena.release(0, 0, 20);
    arena.release(0, 25, 10);
    expect(placesOf(arena, [8])).toEqual([[0, 25]]);
  });

  it('takes that of the last chunk, though an earlier one has a gap that fits better', () => {
    const arena = new Arena(LIMITS);
    placesOf(arena, [60, 30, 80, 15]);
    arena.release(0, 0, 60);
    arena.release(1, 0, 80);
    expect(placesOf(arena, [60])).toEqual([[1, 0]]);
  });

  it('joins a gap with both neighbours', () => {
    const arena = new Arena(LIMITS);
    placesOf(arena, [10, 10, 10, 10]);
    arena.release(0, 0, 10);
    arena.release(0, 20, 10);
    arena.release(0, 10, 10);
    expect(placesOf(arena, [30])).toEqual([[0, 0]]);
    expect(arena.bytes).toBe(40);
  });

  it('has more gaps than it had room for at first', () => {
    const arena = new Arena({ alignment: 1, maxChunkBytes: 10_000 });
    placesOf(arena, Array<number>(400).fill(1));
    for (let offset = 0; offset < 400; offset += 2) arena.release(0, offset, 1);
    expect(placesOf(arena, [1, 2])).toEqual([
      [0, 398],
      [0, 400],
    ]);
  });
});
