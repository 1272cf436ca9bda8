import { describe, expect, it } from 'vitest';
import { tinyShape } from '../../test/fixtures/tiny-shapes.ts';
import { hasAllTensors, inTypesOfFile } from './file-tensors.ts';
import type { GgufHeader } from './gguf/parse-header.ts';
import { tensorsOf } from './tensors.ts';

const shape = tinyShape('qwen3moe');
const inMix = tensorsOf(shape, 'Q4_0');
/** The same model in another mix, as the header of a file lists it. */
const inFile = (mix: 'Q8_0' | 'Q4_0'): GgufHeader['tensors'] =>
  tensorsOf(shape, mix).map(({ name, type, dims, bytes }) => ({ name, type, dims, bytes, offset: 0 }));

describe('the tensors of a file', () => {
  it('have the types and sizes that the file gives them', () => {
    expect(inTypesOfFile(inMix, inFile('Q8_0'))).toEqual(tensorsOf(shape, 'Q8_0'));
    expect(hasAllTensors(inFile('Q8_0'), inMix)).toBe(true);
  });

  it('stay as they are where the file has none of the name, or another size', () => {
    const [first, ...others] = inFile('Q8_0');
    if (first === undefined) throw new Error('no tensors');
    expect(inTypesOfFile(inMix, others)[0]).toEqual(inMix[0]);
    expect(hasAllTensors(others, inMix)).toBe(false);
    const longer = { ...first, dims: first.dims.map((size, axis) => (axis === 0 ? size : 2 * size)) };
    expect(inTypesOfFile(inMix, [longer, ...others])[0]).toEqual(inMix[0]);
    expect(hasAllTensors([longer, ...others], inMix)).toBe(false);
  });
});
