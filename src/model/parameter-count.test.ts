import { describe, expect, it } from 'vitest';
import type { ModelRecord } from '../catalog/index.ts';
import { readModelRecords } from '../catalog/host/index.ts';
import { SYNTHETIC_ARCHITECTURES } from './architectures/registry.ts';
import { shapeOf } from './shape.ts';
import { activeParameterCount, parameterCount } from './tensors.ts';

const RECORDS = readModelRecords();
const WITH_TABLE = RECORDS.filter((record) => SYNTHETIC_ARCHITECTURES.includes(record.architecture));
/** What `docs/models.md` promises. */
const TOLERANCE = 0.01;

/** No total was published, or none that counts what the shape counts. */
const WITHOUT_PUBLISHED_COUNT = [
  'aya-23-8b',
  'baichuan2-7b',
  'codellama-13b',
  'codellama-34b',
  'deepseek-v4-pro',
  'devstral-small-2-24b',
  'falcon-h1-3b',
  'falcon-h1-7b',
  'falcon3-10b',
  'falcon3-3b',
  'gemma-3-12b',
  'gemma-3n-e4b',
  'gemma-7b',
  'glm-5.2',
  'granite-3.3-2b',
  'granite-4.0-h-small',
  'granite-4.0-micro',
  'hunyuan-4b',
  'internlm3-8b',
  'kimi-k2.5',
  'kimi-k2.6',
  'kimi-k2.7-code',
  'kimi-k3',
  'mimo-7b',
  'ministral-3-3b',
  'ministral-8b-2410',
  'nemotron-3-ultra-550b-a55b',
  'nemotron-3.5-lightning-30b-a3b',
  'phi-3-mini-128k',
  'phi-3.5-moe',
  'qwen3-vl-30b-a3b',
  'qwen3.8-27b',
  'step-3.5-flash',
];

type Published = ModelRecord['publishedParameters'][number];

/** The weights that a published count has beside those of the language model. */
function weightsBeside(record: ModelRecord, { includes = [] }: Published): number {
  const embedding = record.vocabularySize * record.embeddingLength;
  const further = (record.mtpLayers ?? 0) * (record.mtpParametersPerLayer ?? Number.NaN);
  const amounts: Record<NonNullable<Published['includes']>[number], number> = {
    'tied-head': embedding,
    mtp: further,
    'mtp-with-embeddings': further + 2 * embedding,
    vision: record.vision?.parameters ?? Number.NaN,
  };
  return includes.reduce((sum, part) => sum + amounts[part], 0);
}

function deviation(record: ModelRecord, published: Published): number {
  const computed = parameterCount(shapeOf(record)) + weightsBeside(record, published);
  return Math.abs(computed / published.count - 1);
}

describe('parameter counts', () => {
  const published = WITH_TABLE.flatMap((record) =>
    record.publishedParameters.map((each) => ({
      record,
      each,
      label: `${record.id} (${each.source}, ${each.detail})`,
    })),
  );

  it.each(published.filter(({ each }) => each.disputed === undefined))(
    'of $label lie within 1 % of the published one',
    ({ record, each }) => {
      expect(deviation(record, each)).toBeLessThan(TOLERANCE);
    },
  );

  it.each(published.filter(({ each }) => each.disputed !== undefined))(
    'of $label are disputed because they do differ',
    ({ record, each }) => {
      expect(deviation(record, each)).toBeGreaterThan(TOLERANCE);
    },
  );

  it('were published for every model but these', () => {
    const unpublished = RECORDS.filter(({ publishedParameters }) =>
      publishedParameters.every(({ disputed }) => disputed !== undefined),
    ).map(({ id }) => id);
    expect(unpublished.sort()).toEqual(WITHOUT_PUBLISHED_COUNT);
  });

  it('count for a mixture of experts those that a token meets', () => {
    const active = (id: string): number => {
      const record = RECORDS.find((each) => each.id === id);
      if (record === undefined) throw new Error(`no record ${id}`);
      return activeParameterCount(shapeOf(record)) / 1e9;
    };
    // OpenAI's model card: 3.61 B and 5.13 B active, without the embedding table.
    expect(active('gpt-oss-20b')).toBeCloseTo(3.61, 1);
    expect(active('gpt-oss-120b')).toBeCloseTo(5.13, 1);
  });
});
