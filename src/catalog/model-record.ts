import * as z from 'zod';

/** The most layers that llama.cpp loads (`LLAMA_MAX_LAYERS`, src/llama-hparams.h, release v0.5.0). */
const MAX_LAYERS = 512;
/** The most experts that llama.cpp loads (`LLAMA_MAX_EXPERTS`, src/llama-hparams.h, release v0.5.0). */
const MAX_EXPERTS = 1024;
/** Wider than any published model by a factor of more than ten; a larger number is a mistake in a data file. */
const MAX_WIDTH = 2 ** 20;

const width = z.int().min(1).max(MAX_WIDTH);
const count = z.int().min(1).max(Number.MAX_SAFE_INTEGER);
/** One value for every layer, or a value a layer; 0 marks a layer without the thing (no KV heads: recurrent). */
const perLayer = z.union([width, z.array(z.int().min(0).max(MAX_WIDTH)).min(1).max(MAX_LAYERS)]);

const ropeScaling = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('llama3'),
    factor: z.number().positive(),
    lowFrequencyFactor: z.number().positive(),
    highFrequencyFactor: z.number().positive(),
    originalContextLength: count,
  }),
  z.strictObject({
    kind: z.literal('yarn'),
    factor: z.number().positive(),
    originalContextLength: count,
    betaFast: z.number().positive(),
    betaSlow: z.number().positive(),
  }),
  z.strictObject({ kind: z.literal('linear'), factor: z.number().positive() }),
]);

/** Where the numbers of a record were read: a file of a work listed in `data/sources.json`. */
const recordSource = z.strictObject({
  id: z.string().min(1),
  revision: z.string().regex(/^[0-9a-f]{7,40}$/),
  path: z.string().min(1),
  entry: z.string().min(1).optional(),
});

const publishedParameters = z.strictObject({
  count,
  source: z.string().min(1),
  detail: z.string().min(1),
  /** The checkpoint stores the tied embedding a second time as the head, and the published count has both. */
  tiedHeadCountedTwice: z.literal(true).optional(),
});

/** The shape of one published model, every value with its source. */
const modelRecordSchema = z
  .strictObject({
    id: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/, 'an id has lower-case letters, digits, dots and dashes'),
    name: z.string().min(1),
    family: z.string().min(1),
    organisation: z.string().min(1),
    repository: z.string().regex(/^[\w.-]+\/[\w.-]+$/, 'a repository is written organisation/name'),
    aliases: z.array(z.string().regex(/^[\w.-]+(\/[\w.-]+)?$/)),
    architecture: z.string().regex(/^[a-z0-9_-]+$/),
    layers: z.int().min(1).max(MAX_LAYERS),
    embeddingLength: width,
    feedForwardLength: perLayer,
    heads: perLayer,
    kvHeads: perLayer,
    keyHeadLength: width,
    valueHeadLength: width,
    vocabularySize: z
      .int()
      .min(1)
      .max(MAX_WIDTH * 4),
    contextLength: count,
    rope: z.strictObject({ base: z.number().positive(), scaling: ropeScaling.optional() }),
    normEpsilon: z.number().positive().max(1),
    tiedEmbeddings: z.boolean(),
    slidingWindow: z.strictObject({ size: count, period: z.int().min(1).max(MAX_LAYERS) }).optional(),
    experts: z
      .strictObject({
        count: z.int().min(1).max(MAX_EXPERTS),
        used: z.int().min(1).max(MAX_EXPERTS),
        feedForwardLength: width,
      })
      .optional(),
    biases: z.array(z.enum(['attention-qkv', 'attention-output', 'router', 'experts'])),
    nativeQuantisation: z.string().min(1).optional(),
    publishedParameters: z.array(publishedParameters),
    source: recordSource,
    confidence: z.enum(['verbatim-config', 'config-table', 'gguf-dump', 'model card text']),
    otherSources: z.array(z.strictObject({ fields: z.array(z.string().min(1)).min(1), url: z.url() })),
  })
  .refine((model) => perLayerFits(model.feedForwardLength, model.layers), 'feedForwardLength: one per layer')
  .refine((model) => perLayerFits(model.heads, model.layers), 'heads: one per layer')
  .refine((model) => perLayerFits(model.kvHeads, model.layers), 'kvHeads: one per layer')
  .refine(
    (model) => model.experts === undefined || model.experts.used <= model.experts.count,
    'experts: more are used than there are',
  );

function perLayerFits(value: number | readonly number[], layers: number): boolean {
  return typeof value === 'number' || value.length === layers;
}

/** A file of `data/models`: the records of one family. */
export const modelFileSchema = z.strictObject({
  schemaVersion: z.literal(1),
  models: z.array(modelRecordSchema).min(1),
});

/** `data/sources.json`: the works that records name by id. */
export const sourcesFileSchema = z.strictObject({
  schemaVersion: z.literal(1),
  sources: z.array(z.strictObject({ id: z.string().min(1), title: z.string().min(1), url: z.url() })).min(1),
});

export type ModelRecord = z.infer<typeof modelRecordSchema>;
export type SourceRecord = z.infer<typeof sourcesFileSchema>['sources'][number];
