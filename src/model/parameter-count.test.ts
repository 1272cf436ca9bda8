import { describe, expect, it } from 'vitest';
import type { ModelRecord } from '../catalog/index.ts';
import { readModelRecords } from '../catalog/host/index.ts';
import { shapeOf } from './shape.ts';
import { activeParameterCount, parameterCount } from './tensors.ts';

const RECORDS = readModelRecords();
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
  const published = RECORDS.flatMap((record) =>
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

  /** Billions, as the model cards print them, of weights that a token meets; with the embedding table, or without it. */
  const ACTIVE: readonly (readonly [id: string, printed: string, embedding: 'with' | 'without'])[] = [
    ['deepseek-v2-lite', '2.4', 'without'],
    ['deepseek-v2.5-236b', '21', 'with'],
    ['deepseek-v3', '37', 'without'],
    ['dots-llm1-142b', '14', 'with'],
    ['gpt-oss-20b', '3.61', 'without'],
    ['gpt-oss-120b', '5.13', 'without'],
    ['granite-4.0-h-small', '9', 'with'],
    ['hunyuan-a13b', '13', 'with'],
    ['jamba-v0.1', '12', 'with'],
    ['kimi-k2', '32', 'without'],
    ['lfm2-8b-a1b', '1.5', 'with'],
    ['ling-mini-2.0', '1.4', 'with'],
    ['llama-4-maverick-17b-128e', '17', 'with'],
    ['llama-4-scout-17b-16e', '17', 'with'],
    ['minimax-m2', '10', 'without'],
    ['mixtral-8x7b', '12.9', 'with'],
    ['mixtral-8x22b', '39', 'with'],
    ['nemotron-3-nano-30b-a3b', '3.2', 'without'],
    ['olmoe-1b-7b', '1.3', 'with'],
    ['phi-3.5-moe', '6.6', 'with'],
    ['qwen3-30b-a3b', '3.3', 'with'],
    ['qwen3-235b-a22b', '22', 'with'],
    ['qwen3-coder-480b-a35b', '35', 'with'],
  ];

  it.each(ACTIVE)(
    'of %s that a token meets are the %s billion of its model card',
    (id, printed, embedding) => {
      const record = RECORDS.find((each) => each.id === id);
      if (record === undefined) throw new Error(`no record ${id}`);
      const table =
        embedding === 'with' && !record.tiedEmbeddings ? record.vocabularySize * record.embeddingLength : 0;
      const active = (activeParameterCount(shapeOf(record)) + table) / 1e9;
      const lastDigit = 10 ** -(printed.split('.')[1]?.length ?? 0);
      expect(Math.abs(active - Number(printed))).toBeLessThan(lastDigit / 2 + TOLERANCE * active);
    },
  );
});
