import type { ModelRecord } from '../catalog/index.ts';

export type RopeScaling = NonNullable<NonNullable<ModelRecord['rope']>['scaling']>;
export type BiasKind = ModelRecord['biases'][number];

/** How a mixture of experts is built. */
export interface ExpertShape {
  readonly count: number;
  /** Experts that each token is routed to. */
  readonly used: number;
  readonly feedForwardLength: number;
  /** Experts that every token passes; the width is that of all of them together. */
  readonly shared: { readonly count: number; readonly feedForwardLength: number } | null;
  /** Layers at the start that are dense. */
  readonly leadingDenseLayers: number;
  /** The engine decides by position which layers have experts: index % every === offset; null: it need not. */
  readonly placement: { readonly every: number; readonly offset: number } | null;
  /** Which layers have experts. */
  readonly onLayers: readonly boolean[];
  /** A bias is added to the scores before the choice (`exp_probs_b`). */
  readonly scoreCorrection: boolean;
  readonly groups: { readonly count: number; readonly used: number } | null;
  /** The experts work on a projection of this length; null: on the embedding. */
  readonly latentLength: number | null;
  /** Layers at the start that route by the token's id. */
  readonly hashRoutedLayers: number;
}

/** Multi-head latent attention; lengths of the decompressed heads, while `ModelShape` has those of the cache. */
export interface LatentAttentionShape {
  readonly kvRank: number;
  /** null: queries are projected directly. */
  readonly queryRank: number | null;
  readonly ropeHeadLength: number;
  /** The rotated part included: `attention.key_length_mla`. */
  readonly keyHeadLength: number;
  readonly valueHeadLength: number;
}

/** A small attention that chooses what the large one reads. */
export interface IndexerShape {
  readonly heads: number;
  readonly headLength: number;
  readonly topK: number;
  /** Which layers own an indexer. */
  readonly onLayers: readonly boolean[];
  /** Blocks of tokens are chosen; null: tokens. */
  readonly blocks: { readonly size: number; readonly local: number } | null;
}

export interface SlidingWindowShape {
  readonly size: number;
  readonly kind: 'standard' | 'chunked';
  /** Which layers have the window. */
  readonly onLayers: readonly boolean[];
  /** The engine makes every `period`-th layer a full one by its position; null: the header lists the layers. */
  readonly period: number | null;
  /** The full layer is the first of a period, not the last. */
  readonly fullFirst: boolean;
  /** Of the windowed layers; those of the full layers are the shape's. */
  readonly keyHeadLength: number;
  readonly valueHeadLength: number;
  /** Full layers have no weights for values. */
  readonly fullLayersReuseKeys: boolean;
  /** null: not known, or the same as that of the full layers. */
  readonly ropeBase: number | null;
}

type RecurrentRecord = NonNullable<ModelRecord['recurrent']>;
type WithoutPlacement<Each> = Each extends unknown ? Omit<Each, 'layers'> : never;

/** The mechanism of the recurrent layers, where they are, and how the file says it. */
export type RecurrentShape = WithoutPlacement<RecurrentRecord> & {
  readonly onLayers: readonly boolean[];
  /** The header has this interval and one number of KV heads; null: it has the KV heads of each layer. */
  readonly fullAttentionEvery: number | null;
};

export type CompressedAttentionShape = NonNullable<ModelRecord['compressedAttention']>;
export type VisionShape = NonNullable<ModelRecord['vision']>;

/**
 * Everything that decides the speed and the memory of a model, and nothing else: two models with the same shape
 * run alike. Lists have one value for each layer.
 */
export interface ModelShape {
  /** The catalogue's id, or a name of the caller's; part of file names. */
  readonly id: string;
  /** As llama.cpp names it in `general.architecture`. */
  readonly architecture: string;
  /** Without the layers that predict further tokens. */
  readonly layers: number;
  readonly embeddingLength: number;
  /** Width of the dense network; 0 where there is none. */
  readonly feedForwardLength: readonly number[];
  readonly heads: readonly number[];
  /** 0: the layer has no KV cache. */
  readonly kvHeads: readonly number[];
  /** Lengths of one head's cached row; of the full layers, where windowed ones differ. */
  readonly keyHeadLength: number;
  readonly valueHeadLength: number;
  readonly experts: ExpertShape | null;
  readonly vocabularySize: number;
  readonly contextLength: number;
  /** null: not known, or nothing is rotated. */
  readonly ropeBase: number | null;
  /** Values of a head that are rotated; null: all. */
  readonly ropeDimensions: number | null;
  readonly ropeScaling: RopeScaling | null;
  /** null: not known. */
  readonly normEpsilon: number | null;
  /** null: all layers with a KV cache are full. */
  readonly slidingWindow: SlidingWindowShape | null;
  /** Layers at the end that read the cache of an earlier layer. */
  readonly sharedKvLayers: number;
  readonly latentAttention: LatentAttentionShape | null;
  readonly indexer: IndexerShape | null;
  readonly compressedAttention: CompressedAttentionShape | null;
  readonly recurrent: RecurrentShape | null;
  readonly perLayerEmbeddingLength: number | null;
  /** null: the architecture decides. */
  readonly queryKeyNorms: boolean | null;
  /** Layers that predict further tokens, as published; whether a file has them, its header says. */
  readonly mtpLayers: number;
  readonly tiedEmbeddings: boolean;
  readonly biases: readonly BiasKind[];
  readonly vision: VisionShape | null;
}

/** The fields of a record that its shape follows from. */
export type ShapeFields = Omit<
  ModelRecord,
  | 'name'
  | 'family'
  | 'organisation'
  | 'repository'
  | 'aliases'
  | 'derivatives'
  | 'nativeQuantisation'
  | 'mtpParametersPerLayer'
  | 'publishedParameters'
  | 'source'
  | 'inferredFields'
  | 'note'
  | 'confidence'
  | 'otherSources'
>;

/** The shape of a record of the catalogue. */
export function shapeOf(record: ShapeFields): ModelShape {
  const onLayers = recurrentLayers(record);
  const interval = fullAttentionInterval(record);
  const kvHeads = everyLayer(record.kvHeads, record.layers);
  return {
    id: record.id,
    architecture: record.architecture,
    layers: record.layers,
    embeddingLength: record.embeddingLength,
    feedForwardLength: everyLayer(record.feedForwardLength, record.layers),
    heads: everyLayer(record.heads, record.layers),
    kvHeads: interval === null ? kvHeads : kvHeads.map((heads, layer) => (onLayers[layer] ? 0 : heads)),
    keyHeadLength: record.keyHeadLength,
    valueHeadLength: record.valueHeadLength,
    experts: expertShape(record),
    vocabularySize: record.vocabularySize,
    contextLength: record.contextLength,
    ropeBase: record.rope?.base ?? null,
    ropeDimensions: record.rope?.dimensions ?? null,
    ropeScaling: record.rope?.scaling ?? null,
    normEpsilon: record.normEpsilon ?? null,
    slidingWindow: slidingWindowShape(record),
    sharedKvLayers: record.sharedKvLayers ?? 0,
    latentAttention:
      record.latentAttention === undefined
        ? null
        : { ...record.latentAttention, queryRank: record.latentAttention.queryRank ?? null },
    indexer: indexerShape(record),
    compressedAttention: record.compressedAttention ?? null,
    recurrent: recurrentShape(record, onLayers, interval),
    perLayerEmbeddingLength: record.perLayerEmbeddingLength ?? null,
    queryKeyNorms: record.queryKeyNorms ?? null,
    mtpLayers: record.mtpLayers ?? 0,
    tiedEmbeddings: record.tiedEmbeddings,
    biases: record.biases,
    vision: record.vision ?? null,
  };
}

function everyLayer(value: number | readonly number[], layers: number): readonly number[] {
  return typeof value === 'number' ? Array<number>(layers).fill(value) : value;
}

function eachLayer<Value>(layers: number, valueOf: (layer: number) => Value): readonly Value[] {
  return Array.from({ length: layers }, (_, layer) => valueOf(layer));
}

/** Widths that are listed layer by layer say which layers have a feed-forward part. */
function hasNoFeedForward(record: ShapeFields, layer: number): boolean {
  return typeof record.feedForwardLength !== 'number' && record.feedForwardLength[layer] === 0;
}

function expertShape({ experts, ...record }: ShapeFields): ExpertShape | null {
  if (experts === undefined) return null;
  const leadingDenseLayers = experts.leadingDenseLayers ?? 0;
  const placement = experts.placement ?? null;
  return {
    count: experts.count,
    used: experts.used,
    feedForwardLength: experts.feedForwardLength,
    shared: experts.shared ?? null,
    leadingDenseLayers,
    placement,
    onLayers: eachLayer(
      record.layers,
      (layer) =>
        layer >= leadingDenseLayers &&
        (placement === null || layer % placement.every === placement.offset) &&
        !hasNoFeedForward(record, layer),
    ),
    scoreCorrection: experts.scoreCorrection ?? false,
    groups: experts.groups ?? null,
    latentLength: experts.latentLength ?? null,
    hashRoutedLayers: experts.hashRoutedLayers ?? 0,
  };
}

/** `set_swa_pattern`, src/llama-hparams.cpp, release v0.5.0. */
function slidingWindowShape({ slidingWindow: window, ...record }: ShapeFields): SlidingWindowShape | null {
  if (window === undefined) return null;
  const { layers, period } = window;
  const fullFirst = window.fullFirst ?? false;
  const isWindowed = (layer: number): boolean => {
    if (layers !== undefined) return layers[layer] === 1;
    if (period === undefined) return true;
    return layer % period !== (fullFirst ? 0 : period - 1);
  };
  return {
    size: window.size,
    kind: window.kind ?? 'standard',
    onLayers: eachLayer(record.layers, isWindowed),
    period: period ?? null,
    fullFirst,
    keyHeadLength: window.keyHeadLength ?? record.keyHeadLength,
    valueHeadLength: window.valueHeadLength ?? record.valueHeadLength,
    fullLayersReuseKeys: window.fullLayersReuseKeys ?? false,
    ropeBase: window.ropeBase ?? null,
  };
}

function indexerShape({ indexer, layers }: ShapeFields): IndexerShape | null {
  if (indexer === undefined) return null;
  return {
    heads: indexer.heads,
    headLength: indexer.headLength,
    topK: indexer.topK,
    onLayers: eachLayer(layers, (layer) => indexer.layers?.includes(layer) ?? true),
    blocks: indexer.blocks ?? null,
  };
}

function fullAttentionInterval({ recurrent }: ShapeFields): number | null {
  return recurrent === undefined || typeof recurrent.layers === 'string'
    ? null
    : recurrent.layers.fullAttentionEvery;
}

/** The `is_recr_impl` of `load_arch_hparams` of each architecture, llama.cpp release v0.5.0. */
function recurrentLayers(record: ShapeFields): readonly boolean[] {
  const { recurrent } = record;
  const interval = fullAttentionInterval(record);
  const kvHeads = everyLayer(record.kvHeads, record.layers);
  return eachLayer(record.layers, (layer) => {
    if (recurrent === undefined) return false;
    if (recurrent.layers === 'all') return true;
    if (interval !== null) return (layer + 1) % interval !== 0;
    const feedForwardOnly = typeof record.feedForwardLength !== 'number' && !hasNoFeedForward(record, layer);
    return kvHeads[layer] === 0 && !feedForwardOnly;
  });
}

function recurrentShape(
  { recurrent }: ShapeFields,
  onLayers: readonly boolean[],
  fullAttentionEvery: number | null,
): RecurrentShape | null {
  if (recurrent === undefined) return null;
  const { layers: _, ...mechanism } = recurrent;
  return { ...mechanism, onLayers, fullAttentionEvery };
}

/**
 * The shape of a file that has only some layers of the model: lists and counts are those of its own layers. It is
 * what the header of such a file describes.
 * @param layers - for each layer of the file, its index in the full model.
 * @throws RangeError when a layer is not one of the model.
 */
export function shapeOfLayers(shape: ModelShape, layers: readonly number[]): ModelShape {
  const pick = <Value>(values: readonly Value[]): readonly Value[] =>
    layers.map((layer) => ofLayer(values, layer));
  const before = (limit: number): number => layers.filter((layer) => layer < limit).length;
  const { experts, slidingWindow, indexer, compressedAttention, recurrent } = shape;
  return {
    ...shape,
    layers: layers.length,
    feedForwardLength: pick(shape.feedForwardLength),
    heads: pick(shape.heads),
    kvHeads: pick(shape.kvHeads),
    sharedKvLayers: layers.length - before(shape.layers - shape.sharedKvLayers),
    experts: experts && {
      ...experts,
      onLayers: pick(experts.onLayers),
      leadingDenseLayers: before(experts.leadingDenseLayers),
      hashRoutedLayers: before(experts.hashRoutedLayers),
    },
    slidingWindow: slidingWindow && { ...slidingWindow, onLayers: pick(slidingWindow.onLayers) },
    indexer: indexer && { ...indexer, onLayers: pick(indexer.onLayers) },
    compressedAttention: compressedAttention && {
      ...compressedAttention,
      ratios: [...pick(compressedAttention.ratios)],
    },
    recurrent: recurrent && { ...recurrent, onLayers: pick(recurrent.onLayers) },
  };
}

/** The value of a list of a shape for one layer. @throws RangeError when the layer is not one of the model. */
export function ofLayer<Value>(values: readonly Value[], layer: number): Value {
  const value = values[layer];
  if (value === undefined) throw new RangeError(`layer ${layer} is not one of 0 to ${values.length - 1}`);
  return value;
}

/** Whether the layer attends to a sliding window. */
export function isSlidingWindowLayer(shape: ModelShape, layer: number): boolean {
  return shape.slidingWindow !== null && ofLayer(shape.slidingWindow.onLayers, layer);
}

/** Whether the layer keeps a state of fixed size. */
export function isRecurrentLayer(shape: ModelShape, layer: number): boolean {
  return shape.recurrent !== null && ofLayer(shape.recurrent.onLayers, layer);
}

/** Whether the layer has a mixture of experts. */
export function isExpertLayer(shape: ModelShape, layer: number): boolean {
  return shape.experts !== null && ofLayer(shape.experts.onLayers, layer);
}
