import { describe, expect, it } from 'vitest';
import { readModelRecords } from '../catalog/host/index.ts';
import type { GgufHeader } from './gguf/parse-header.ts';
import { parseGgufHeader } from './gguf/parse-header.ts';
import { shapeFieldsOfHeader } from './header-shape.ts';
import { shapeOf, type ModelShape } from './shape.ts';
import { planSyntheticFile } from './synthetic/file-plan.ts';

const RECORDS = readModelRecords();

/** A vocabulary of a few words keeps the headers short. */
function shapeNamed(id: string): ModelShape {
  const record = RECORDS.find((each) => each.id === id);
  if (record === undefined) throw new Error(`no record ${id}`);
  return shapeOf({ ...record, vocabularySize: 1024 });
}

function headerOf(shape: ModelShape): GgufHeader {
  const plan = planSyntheticFile({ shape, mix: 'Q8_0' });
  const progress = parseGgufHeader(plan.header, plan.fileBytes, shape.id);
  if (!progress.complete) throw new Error(`the header of ${shape.id} is not complete`);
  return progress.header;
}

/** What sizes and speed follow from: not the angles of RoPE, nor what only some files of a model have. */
function costOf({ slidingWindow, ropeScaling, ...shape }: ModelShape): object {
  const {
    vision: _,
    mtpLayers: __,
    ropeBase: ___,
    ropeDimensions: ____,
    normEpsilon: _____,
    ...rest
  } = shape;
  const { period: ______, fullFirst: _______, ropeBase: ________, ...window } = slidingWindow ?? {};
  // The loaders want a width for the dense network even where only experts are.
  const feedForwardLength = rest.feedForwardLength.map((width, layer) =>
    rest.experts?.onLayers[layer] === true && rest.architecture !== 'gemma4' ? 'experts' : width,
  );
  return { ...rest, feedForwardLength, ropeScaling: ropeScaling?.kind, window };
}

describe('the shape that a header describes', () => {
  it.each(RECORDS.map(({ id }) => id))('of %s is the shape that the file was made of', (id) => {
    const made = shapeNamed(id);
    const read = shapeOf(shapeFieldsOfHeader(headerOf(made), id, `${id}.gguf`));
    expect(costOf(read)).toEqual(costOf(made));
  });

  it('is refused in one sentence where the header does not say enough', () => {
    const header = headerOf(shapeNamed('qwen3-0.6b'));
    const without = (key: string): GgufHeader => ({
      ...header,
      metadata: new Map([...header.metadata].filter(([each]) => each !== key)),
    });
    expect(() => shapeFieldsOfHeader(without('general.architecture'), 'x', 'x.gguf')).toThrow(
      'x.gguf does not say of which architecture its model is.',
    );
    expect(() => shapeFieldsOfHeader(without('qwen3.context_length'), 'x', 'x.gguf')).toThrow(
      /x\.gguf has no number qwen3\.context_length/,
    );
    const deep = new Map([...header.metadata, ['qwen3.block_count', 4e9] as const]);
    expect(() => shapeFieldsOfHeader({ ...header, metadata: deep }, 'x', 'x.gguf')).toThrow(
      /4000000000 layers, and llama.cpp loads 1 to 512/,
    );
  });
});
