import * as z from 'zod';
import {
  attentionIndexer,
  compressedAttention,
  count,
  experts,
  latentAttention,
  MAX_LAYERS,
  MAX_WIDTH,
  perLayer,
  recurrent,
  ropeScaling,
  slidingWindow,
  vision,
  width,
} from './model-mechanisms.ts';

/** Where the numbers of a record were read: a file of a work listed in `data/sources.json`. */
const recordSource = z.strictObject({
  id: z.string().min(1),
  /** Absent where only the newest state of the work is public. */
  revision: z
    .string()
    .regex(/^[0-9a-f]{7,40}$/)
    .optional(),
  path: z.string().min(1),
  entry: z.string().min(1).optional(),
});

const modelName = z.string().regex(/^[\w.-]+(\/[\w.-]+)?$/, 'a name, or organisation/name');

const publishedParameters = z.strictObject({
  count,
  source: z.string().min(1),
  detail: z.string().min(1),
  /** What the count has beside the language model's own weights; absent: nothing. */
  includes: z
    .array(z.enum(['tied-head', 'mtp', 'mtp-with-embeddings', 'vision']))
    .min(1)
    .optional(),
  /** Why the count is not that of the shape; only for counts that lie more than 1 % off. */
  disputed: z.string().min(1).optional(),
});

/** Parts that have a bias in some models of an architecture and none in others. */
const BIAS_KINDS = [
  'attention-qkv',
  'attention-output',
  'feed-forward',
  'router',
  'experts',
  'output',
] as const;

/** The shape of one published model, every value with its source. */
export const modelRecordSchema = z
  .strictObject({
    id: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/, 'an id has lower-case letters, digits, dots and dashes'),
    name: z.string().min(1),
    family: z.string().min(1),
    organisation: z.string().min(1),
    repository: z.string().regex(/^[\w.-]+\/[\w.-]+$/, 'a repository is written organisation/name'),
    aliases: z.array(modelName),
    /** Other publishers' models of the same shape: fine-tunes and conversions. */
    derivatives: z.array(z.strictObject({ name: modelName, url: z.url() })).optional(),
    architecture: z.string().regex(/^[a-z0-9_-]+$/),
    /** Without the layers that predict further tokens (`mtpLayers`). */
    layers: z.int().min(1).max(MAX_LAYERS),
    embeddingLength: width,
    /** Width of the dense network; 0: the model has none. In a list 0: the layer has no feed-forward part at all. */
    feedForwardLength: perLayer,
    heads: perLayer,
    /** As cached: 1 with latent attention, 0 on layers without a cache. */
    kvHeads: perLayer,
    /** Lengths of a cached row of one head; 0 for a model without attention. */
    keyHeadLength: z.int().min(0).max(MAX_WIDTH),
    valueHeadLength: z.int().min(0).max(MAX_WIDTH),
    vocabularySize: z
      .int()
      .min(1)
      .max(MAX_WIDTH * 4),
    contextLength: count,
    rope: z
      .strictObject({
        /** Absent: not known, or nothing is rotated. */
        base: z.number().positive().optional(),
        /** Values of a head that are rotated; absent: all. */
        dimensions: width.optional(),
        scaling: ropeScaling.optional(),
      })
      .optional(),
    /** Absent: not known. It changes no size and no speed. */
    normEpsilon: z.number().positive().max(1).optional(),
    tiedEmbeddings: z.boolean(),
    slidingWindow: slidingWindow.optional(),
    /** Layers at the end that read the cache of an earlier layer and have none of their own (Gemma 3n and 4). */
    sharedKvLayers: z.int().min(1).max(MAX_LAYERS).optional(),
    latentAttention: latentAttention.optional(),
    indexer: attentionIndexer.optional(),
    compressedAttention: compressedAttention.optional(),
    recurrent: recurrent.optional(),
    experts: experts.optional(),
    /** Length of the embeddings that each layer has for itself (Gemma 3n and 4). */
    perLayerEmbeddingLength: width.optional(),
    /** Norms of queries and keys, for architectures that have them in some models only (GLM 4.5). */
    queryKeyNorms: z.boolean().optional(),
    /** Layers after the last one that predict further tokens; only some files of a model have them. */
    mtpLayers: z.int().min(1).max(MAX_LAYERS).optional(),
    /** Weights of one such layer, where published counts with and without it are known. */
    mtpParametersPerLayer: count.optional(),
    biases: z.array(z.enum(BIAS_KINDS)),
    vision: vision.optional(),
    nativeQuantisation: z.string().min(1).optional(),
    publishedParameters: z.array(publishedParameters),
    source: recordSource,
    /** Fields that were solved from exact totals or taken from the architecture; absent: none. */
    inferredFields: z.array(z.string().min(1)).min(1).optional(),
    note: z.string().min(1).optional(),
    confidence: z.enum(['verbatim-config', 'config-table', 'gguf-dump', 'model card text']),
    otherSources: z.array(z.strictObject({ fields: z.array(z.string().min(1)).min(1), url: z.url() })),
  })
  .refine((model) => perLayerFits(model.feedForwardLength, model.layers), 'feedForwardLength: one per layer')
  .refine((model) => perLayerFits(model.heads, model.layers), 'heads: one per layer')
  .refine((model) => perLayerFits(model.kvHeads, model.layers), 'kvHeads: one per layer')
  .refine(
    (model) => perLayerFits(model.slidingWindow?.layers ?? 0, model.layers),
    'slidingWindow.layers: one per layer',
  )
  .refine(
    (model) => perLayerFits(model.compressedAttention?.ratios ?? 0, model.layers),
    'compressedAttention.ratios: one per layer',
  )
  .refine(
    (model) => model.indexer?.layers?.every((layer) => layer < model.layers) ?? true,
    'indexer.layers: a layer that the model does not have',
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
  sources: z
    .array(
      z.strictObject({
        id: z.string().min(1),
        title: z.string().min(1),
        /** Absent where a work has no public address. */
        url: z.url().optional(),
        /** What was taken: `facts only`, or the licence of the work besides. */
        licence: z.string().min(1),
      }),
    )
    .min(1),
});

export type ModelRecord = z.infer<typeof modelRecordSchema>;
export type SourceRecord = z.infer<typeof sourcesFileSchema>['sources'][number];
