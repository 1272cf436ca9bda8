import { describe, expect, it } from 'vitest';
import { readModelRecords } from '../../catalog/host/index.ts';
import { elementCount } from '../ggml-types.ts';
import { shapeOf, type ModelShape } from '../shape.ts';
import { tensorsOf, tensorsWithNextTokenLayers } from '../tensors.ts';

const RECORDS = readModelRecords();

function shapeNamed(id: string): ModelShape {
  const record = RECORDS.find((each) => each.id === id);
  if (record === undefined) throw new Error(`no record ${id}`);
  return shapeOf(record);
}

describe('layers that predict further tokens', () => {
  const published = RECORDS.flatMap(({ mtpParametersPerLayer, ...record }) =>
    mtpParametersPerLayer === undefined ? [] : [{ id: record.id, mtpParametersPerLayer }],
  );

  it('are published for enough models to judge the tables by', () => {
    expect(published.length).toBeGreaterThan(15);
  });

  it.each(published)('of $id have the published number of weights', ({ id, mtpParametersPerLayer }) => {
    const shape = shapeNamed(id);
    const further = tensorsWithNextTokenLayers(shape, 'F16').filter(({ layer }) => layer === shape.layers);
    const count = further.reduce((sum, { dims }) => sum + elementCount(dims), 0);
    expect(count).toBe(mtpParametersPerLayer);
  });

  it('make the published file of Qwen 3.6 27B, which has one', () => {
    // `model_size` of llama-bench records of Qwen3.6-27B-Q8_0.gguf, https://github.com/kyuz0/amd-strix-halo-toolboxes.
    const bytes = tensorsWithNextTokenLayers(shapeNamed('qwen3.6-27b'), 'Q8_0').map((tensor) => tensor.bytes);
    expect(bytes.reduce((sum, each) => sum + each, 0)).toBe(29_036_089_344);
  });

  it('come behind the tensors of a file without them, and change none of their types in Q8_0', () => {
    const shape = shapeNamed('glm-5');
    const without = tensorsOf(shape, 'Q8_0');
    const whole = tensorsWithNextTokenLayers(shape, 'Q8_0');
    expect(whole.slice(0, without.length)).toEqual(without);
    expect(whole[without.length]?.name).toBe('blk.78.attn_norm.weight');
    expect(whole.at(-1)?.name).toBe('blk.78.nextn.shared_head_norm.weight');
  });

  it('are not made up where nobody said what they are made of', () => {
    expect(() => tensorsWithNextTokenLayers(shapeNamed('step-3.5-flash'), 'Q8_0')).toThrow(/it is not known/);
    const without = shapeNamed('qwen3-0.6b');
    expect(tensorsWithNextTokenLayers(without, 'Q8_0')).toEqual(tensorsOf(without, 'Q8_0'));
  });
});
