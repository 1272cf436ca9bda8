import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readModelRecords } from '../catalog/host/index.ts';
import { architectureOf } from './architectures/registry.ts';
import { CONFIG_MODEL_TYPES, shapeFieldsOfConfig } from './config-shape.ts';
import { shapeOf, type ModelShape } from './shape.ts';

interface Published {
  readonly id: string;
  readonly source: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** The keys of published files that say what the model is, without those for training and for tokens. */
const PUBLISHED = JSON.parse(
  readFileSync(new URL('../../test/fixtures/hugging-face-configs.json', import.meta.url), 'utf8'),
) as readonly Published[];

const configOf = (id: string): Published['config'] => {
  const found = PUBLISHED.find((each) => each.id === id);
  if (found === undefined) throw new Error(`no configuration of ${id}`);
  return found.config;
};

/** Records leave out what is not known of the norm and of RoPE, which costs nothing. */
function costOf(shape: ModelShape): object {
  const {
    normEpsilon: _,
    ropeBase: __,
    ropeDimensions: ___,
    mtpLayers: ____,
    vision: _____,
    ...rest
  } = shape;
  return rest;
}

describe('the shape that a config.json describes', () => {
  it.each(PUBLISHED.map(({ id }) => id))('of %s is that of the catalogue', (id) => {
    const record = readModelRecords().find((each) => each.id === id);
    if (record === undefined) throw new Error(`no record ${id}`);
    const shape = shapeOf(shapeFieldsOfConfig(configOf(id), id, 'config.json'));
    expect(costOf(shape)).toEqual(costOf(shapeOf(record)));
  });

  it('is refused in one sentence where the kind of model is not known', () => {
    for (const config of [{ model_type: 'bert' }, {}, { model_type: 5 }]) {
      expect(() => shapeFieldsOfConfig(config, 'x', 'x/config.json')).toThrow(
        /x\/config\.json is of the model_type '.*', which cannot be read/,
      );
    }
    for (const config of [null, 5, 'text', []]) {
      expect(() => shapeFieldsOfConfig(config, 'x', 'x.json')).toThrow('x.json is not the configuration');
    }
  });

  it('is refused in one sentence where a number is missing', () => {
    const { hidden_size: _, ...without } = configOf('qwen2.5-14b');
    expect(() => shapeFieldsOfConfig(without, 'x', 'x.json')).toThrow('x.json has no number hidden_size');
  });

  it('is that of an architecture which has a table of tensors', () => {
    const config = configOf('command-r-35b');
    for (const type of CONFIG_MODEL_TYPES) {
      const { architecture } = shapeFieldsOfConfig({ ...config, model_type: type }, 'x', 'x.json');
      expect(architectureOf(architecture).id).toBe(architecture);
    }
  });
});
