import * as z from 'zod';

/** The most layers that llama.cpp loads (`LLAMA_MAX_LAYERS`, src/llama-hparams.h, release v0.5.0). */
export const MAX_LAYERS = 512;
/** The most experts that llama.cpp loads (`LLAMA_MAX_EXPERTS`, src/llama-hparams.h, release v0.5.0). */
const MAX_EXPERTS = 1024;
/** Wider than any published model by a factor of more than ten; a larger number is a mistake in a data file. */
export const MAX_WIDTH = 2 ** 20;

export const width = z.int().min(1).max(MAX_WIDTH);
export const count = z.int().min(1).max(Number.MAX_SAFE_INTEGER);
const layerCount = z.int().min(1).max(MAX_LAYERS);
const layerIndices = z.array(z.int().min(0).max(MAX_LAYERS)).min(1).max(MAX_LAYERS);

/** One value for every layer, or a value a layer; 0 marks a layer without the thing. */
export const perLayer = z.union([
  z.int().min(0).max(MAX_WIDTH),
  z.array(z.int().min(0).max(MAX_WIDTH)).min(1).max(MAX_LAYERS),
]);

export const ropeScaling = z.discriminatedUnion('kind', [
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
    betaFast: z.number().positive().optional(),
    betaSlow: z.number().positive().optional(),
  }),
  /** Factors of each frequency for short and for long contexts, which travel as two tensors (Phi 3). */
  z.strictObject({ kind: z.literal('longrope'), originalContextLength: count.optional() }),
  z.strictObject({ kind: z.literal('linear'), factor: z.number().positive() }),
]);

/** A mixture of experts in place of the dense feed-forward network. */
export const experts = z
  .strictObject({
    count: z.int().min(1).max(MAX_EXPERTS),
    /** Experts that each token is routed to. */
    used: z.int().min(1).max(MAX_EXPERTS),
    feedForwardLength: width,
    /** Experts that every token passes; the width is that of all of them together. */
    shared: z.strictObject({ count: z.int().min(1).max(MAX_EXPERTS), feedForwardLength: width }).optional(),
    /** Layers at the start that are dense. */
    leadingDenseLayers: layerCount.optional(),
    /** Experts only on layers whose index leaves `offset` when divided by `every` (Llama 4 Maverick, Jamba). */
    placement: z.strictObject({ every: layerCount, offset: z.int().min(0).max(MAX_LAYERS) }).optional(),
    /** A bias is added to the scores before the choice (`exp_probs_b`: DeepSeek V3 and its followers). */
    scoreCorrection: z.literal(true).optional(),
    /** Experts are chosen within the best `used` of `count` groups. */
    groups: z.strictObject({ count, used: count }).optional(),
    /** The experts work on a projection of this length instead of on the embedding. */
    latentLength: width.optional(),
    /** Layers at the start that route by the token's id instead of by scores (DeepSeek V4). */
    hashRoutedLayers: layerCount.optional(),
  })
  .refine((mixture) => mixture.used <= mixture.count, 'experts: more are used than there are');

/** Multi-head latent attention: one compressed row for all heads is cached. */
export const latentAttention = z.strictObject({
  kvRank: width,
  /** Absent: queries are projected directly. */
  queryRank: width.optional(),
  /** The part of a head that is rotated, shared by all heads. */
  ropeHeadLength: width,
  /** The length of a head's decompressed key: its rotated part included. */
  keyHeadLength: width,
  valueHeadLength: width,
});

/** A small attention of its own that chooses the tokens, or the blocks of tokens, that the large one reads. */
export const attentionIndexer = z.strictObject({
  heads: width,
  headLength: width,
  /** Tokens, or blocks, that are chosen. */
  topK: width,
  /** The layers that own an indexer; absent: all. The others reuse the choice of an earlier one. */
  layers: layerIndices.optional(),
  /** Whole blocks are chosen, and the last `local` ones always (MiniMax M3). */
  blocks: z.strictObject({ size: width, local: z.int().min(0).max(MAX_WIDTH) }).optional(),
});

/** Layers that see only the last tokens. */
export const slidingWindow = z
  .strictObject({
    size: count,
    /** The window moves with the token, or jumps from chunk to chunk (Llama 4). */
    kind: z.enum(['standard', 'chunked']).optional(),
    /** Every `period`-th layer has full attention; the last of a period, or with `fullFirst` the first. */
    period: layerCount.optional(),
    fullFirst: z.literal(true).optional(),
    /** In place of a period: 1 for a layer with a window, 0 for one with full attention. */
    layers: z
      .array(z.union([z.literal(0), z.literal(1)]))
      .min(1)
      .max(MAX_LAYERS)
      .optional(),
    /** Head lengths of the windowed layers, where they differ from the full ones. */
    keyHeadLength: width.optional(),
    valueHeadLength: width.optional(),
    /** Full layers use their keys as values and have no weights for them (Gemma 4). */
    fullLayersReuseKeys: z.literal(true).optional(),
    ropeBase: z.number().positive().optional(),
  })
  .refine(
    (window) => (window.period === undefined) !== (window.layers === undefined),
    'slidingWindow: a period or a list of layers, one of them',
  );

/**
 * Which layers are recurrent: all of them; those without KV heads (and, where widths are listed layer by layer,
 * without a feed-forward network); or all but every n-th, in which case `kvHeads` is that of the n-th.
 */
const recurrentLayers = z.union([
  z.literal(['all', 'without-kv-heads']),
  z.strictObject({ fullAttentionEvery: layerCount }),
]);

/** Layers that keep a state of fixed size in place of a cache that grows. */
export const recurrent = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('mamba1'),
    layers: recurrentLayers,
    convWidth: width,
    innerLength: width,
    stateLength: width,
    timeStepRank: width,
  }),
  z.strictObject({
    kind: z.literal('mamba2'),
    layers: recurrentLayers,
    convWidth: width,
    innerLength: width,
    stateLength: width,
    groups: width,
    heads: width,
    /** The norm before the output projection is missing (Falcon H1). */
    withoutNorm: z.literal(true).optional(),
  }),
  z.strictObject({
    kind: z.literal('gated-delta-net'),
    layers: recurrentLayers,
    convWidth: width,
    innerLength: width,
    stateLength: width,
    /** Heads of keys; those of values are `heads`. */
    groups: width,
    heads: width,
  }),
  /** Kimi delta attention. */
  z.strictObject({
    kind: z.literal('kimi-delta'),
    layers: recurrentLayers,
    convWidth: width,
    heads: width,
    headLength: width,
  }),
  z.strictObject({ kind: z.literal('short-convolution'), layers: recurrentLayers, convWidth: width }),
  z.strictObject({
    kind: z.literal('rwkv7'),
    layers: recurrentLayers,
    headLength: width,
    tokenShifts: width,
    loraRanks: z.strictObject({ decay: width, learningRate: width, value: width, gate: width }),
  }),
]);

/** DeepSeek V4: each layer compresses its past by its own ratio, beside a window of the last tokens. */
export const compressedAttention = z.strictObject({
  /** Tokens that become one row, layer by layer; 0: the layer has only the window. */
  ratios: z.array(z.int().min(0).max(MAX_WIDTH)).min(1).max(MAX_LAYERS),
  queryRank: width,
  ropeHeadLength: width,
  outputGroups: width,
  outputRank: width,
  /** Copies of the residual stream that each layer mixes. */
  hyperConnections: width,
});

/** The encoder of images, which llama.cpp keeps in a file of its own (mmproj). */
export const vision = z.strictObject({
  layers: layerCount.optional(),
  embeddingLength: width.optional(),
  feedForwardLength: width.optional(),
  heads: width.optional(),
  patchSize: width.optional(),
  imageSize: width.optional(),
  /** Patches along an edge that become one token. */
  spatialMerge: width.optional(),
  positions: width.optional(),
  /** Layers whose output is also fed into the language model. */
  deepstackLayers: layerIndices.optional(),
  /** The published total less the language model's, where both are known. */
  parameters: count.optional(),
});
