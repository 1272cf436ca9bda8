import { describe, expect, it } from 'vitest';
import { readModelRecords } from '../../catalog/host/index.ts';
import { shapeOf, type ModelShape } from '../shape.ts';
import { representativeLayers } from './representative-layers.ts';

function shapeOfModel(id: string): ModelShape {
  const record = readModelRecords().find((each) => each.id === id);
  if (record === undefined) throw new RangeError(`no model ${id}`);
  return shapeOf(record);
}

const alike = (): string => '';

describe('layers that are laid out', () => {
  it('are, of a model whose layers are all alike, two to compare, one before and two behind the cut', () => {
    const shape = shapeOfModel('llama-3.2-1b');
    expect(representativeLayers(shape, 1, alike)).toEqual({
      layers: [0, 1, 2, 14, 15],
      cuts: [{ at: 3, period: 1 }],
    });
  });

  it('leave out whole periods where kinds take turns', () => {
    const shape = shapeOfModel('gpt-oss-20b');
    const { layers, cuts } = representativeLayers(shape, 1, alike);
    expect(cuts).toEqual([{ at: 5, period: 2 }]);
    expect((layers[5] ?? 0) - (layers[4] ?? 0) - 1).toBe(shape.layers - layers.length);
    expect((shape.layers - layers.length) % 2).toBe(0);
  });

  it('are kept where a caller tells them apart', () => {
    const shape = shapeOfModel('llama-3.2-1b');
    const odd = (layer: number): string => (layer === 8 ? 'large' : '');
    expect(representativeLayers(shape, 1, odd).layers).toContain(8);
  });

  it('are all of them when every further one is asked for', () => {
    const shape = shapeOfModel('llama-3.2-1b');
    const { layers, cuts } = representativeLayers(shape, Number.POSITIVE_INFINITY, alike);
    expect([layers.length, cuts]).toEqual([shape.layers, []]);
  });
});
