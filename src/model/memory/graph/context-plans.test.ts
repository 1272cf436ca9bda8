import { describe, expect, it } from 'vitest';
import { readModelRecords } from '../../../catalog/host/index.ts';
import { shapeOf, type ModelShape } from '../../shape.ts';
import { tensorsOf } from '../../tensors.ts';
import { COMPUTE_BACKENDS } from '../compute-backends.ts';
import { DEFAULT_CONTEXT, resolveContext, type ContextMemorySettings } from '../settings.ts';
import { graphBytes } from './graph-bytes.ts';

function oneOfEachArchitecture(): ModelShape[] {
  const chosen = new Map<string, ModelShape>();
  for (const shape of readModelRecords().map(shapeOf)) {
    const other = chosen.get(shape.architecture);
    if (other === undefined || shape.layers < other.layers) chosen.set(shape.architecture, shape);
  }
  return [...chosen.values()];
}

/** The first two teach how sizes grow; windows, chosen rows and the limit of a tensor change what follows. */
const LENGTHS = [8192, 32_768, 6144, 1_048_576];

describe.each(oneOfEachArchitecture())('contexts of $id ($architecture)', (shape) => {
  it.each<Partial<ContextMemorySettings> & { backend: keyof typeof COMPUTE_BACKENDS }>([
    { backend: 'vulkan', flashAttention: true, sequences: 1 },
    { backend: 'vulkan', flashAttention: false, sequences: 4 },
  ])('share a layout and get the figures of one of their own: %o', ({ backend, ...settings }) => {
    const tensors = tensorsOf(shape, 'Q4_K_M');
    const bytesOf = (contextTokens: number, list: typeof tensors): unknown => {
      const context = resolveContext({ ...DEFAULT_CONTEXT, ...settings, contextTokens });
      return graphBytes(shape, list, context, COMPUTE_BACKENDS[backend]);
    };
    // What is shared belongs to a list of tensors.
    expect(LENGTHS.map((length) => bytesOf(length, tensors))).toEqual(
      LENGTHS.map((length) => bytesOf(length, [...tensors])),
    );
  });

  it('are the same in every mix, as those of lists of their own', () => {
    const context = resolveContext({ ...DEFAULT_CONTEXT, contextTokens: 16_384 });
    const lists = (['Q4_K_M', 'F16', 'IQ1_S', 'MXFP4'] as const).map((mix) => tensorsOf(shape, mix));
    const bytesOf = (list: ReturnType<typeof tensorsOf>): unknown =>
      graphBytes(shape, list, context, COMPUTE_BACKENDS.vulkan);
    expect(lists.map(bytesOf)).toEqual(lists.map((list) => bytesOf([...list])));
  });
});
