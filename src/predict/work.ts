import {
  isExpertLayer,
  isRecurrentLayer,
  isSlidingWindowLayer,
  ofLayer,
  type ModelShape,
} from '../model/index.ts';

/** Layers that attend alike. */
export interface AttentionWork {
  readonly layers: number;
  /** Tokens that the layer looks back; null: all of them. */
  readonly window: number | null;
  /** Tokens that one cached row stands for (DeepSeek V4 compresses); 1 elsewhere. */
  readonly compression: number;
  /** Cached values of one token and layer: K and V of all KV heads. */
  readonly keyValues: number;
  readonly valueValues: number;
  /** Query heads, and the heads of the cache that they share. */
  readonly heads: number;
  readonly keyValueHeads: number;
  /** Query heads x (key length + value length): multiplications of one query with one cached token. */
  readonly multiplications: number;
}

/** What a model asks of a machine, counted from its shape: weights, operations, cached values. */
export interface ModelWork {
  readonly architecture: string;
  /** Weights that every token is multiplied with, without the head. */
  readonly denseWeights: number;
  readonly headWeights: number;
  /** Tables from which rows are read: no part of the work, but of the file. */
  readonly tableWeights: number;
  readonly tiedEmbeddings: boolean;
  /** Weights of all routed experts. */
  readonly expertWeights: number;
  readonly experts: { readonly count: number; readonly used: number } | null;
  /** Kernels that one pass through the model launches, about. */
  readonly operations: number;
  readonly attention: readonly AttentionWork[];
  /** f32 values of recurrent state that a token reads and writes. */
  readonly stateValues: number;
  /** Values of the residual stream that one token passes through all layers. */
  readonly activationValues: number;
  /** Whether some layers are recurrent, or attend to a latent row: kernels of their own. */
  readonly recurrent: boolean;
  readonly latent: boolean;
}

/**
 * Kernels of a layer, counted in graphs of llama.cpp (`llm_graph_context::build_attn`, `build_ffn`, `build_moe_ffn`,
 * src/llama-graph.cpp v0.5.0) after the fusions that backends make; with these the time of a token of small models
 * is proportional to the count.
 */
const DENSE_LAYER_OPERATIONS = 10;
const EXPERT_LAYER_OPERATIONS = 14;
/** Of these the products with the weights of the experts: gate, up, their product, down (`build_moe_ffn`). */
const EXPERT_OPERATIONS = 4;
/** What a recurrent layer adds: projections, convolution, gates, scan, norm. */
const RECURRENT_LAYER_OPERATIONS = 10;
/** Embedding, last norm, head, copies of inputs and of logits. */
const MODEL_OPERATIONS = 5;

/** Matrices of a feed-forward network: gate, up and down, or up and down alone. */
const GATED_MATRICES = 3;
const PLAIN_MATRICES = 2;
const PLAIN_FEED_FORWARD: ReadonlySet<string> = new Set([
  'apertus',
  'falcon',
  'gpt2',
  'mpt',
  'nemotron',
  'nemotron_h',
  'nemotron_h_moe',
  'phi2',
  'starcoder2',
  'rwkv7',
]);

/** Architectures whose attention has a gate as wide as its queries (`build_layer_attn` of each). */
const GATED_ATTENTION: ReadonlySet<string> = new Set(['qwen3next', 'qwen35', 'qwen35moe']);

/** What of a layer is meant; the experts are its routed ones, without the router. */
export type LayerShare = 'all' | 'without-experts' | 'experts' | 'none';

/** A part of a model: what one of the devices holds that share it. */
export interface ModelPart {
  readonly shareOf: (layer: number) => LayerShare;
  /** The output head, and what comes before the first layer and after the last. */
  readonly head: boolean;
}

const WHOLE: ModelPart = { shareOf: () => 'all', head: true };

/** Counts the work of a model, or of a part of it. */
export function workOf(shape: ModelShape, part: ModelPart = WHOLE): ModelWork {
  const matrices = PLAIN_FEED_FORWARD.has(shape.architecture) ? PLAIN_MATRICES : GATED_MATRICES;
  const width = shape.embeddingLength;
  let denseWeights = 0;
  let expertWeights = 0;
  let operations = part.head ? MODEL_OPERATIONS : 0;
  let stateValues = 0;
  let layers = 0;
  const attention = new Map<string, AttentionWork>();
  for (let layer = 0; layer < shape.layers; layer += 1) {
    const share = part.shareOf(layer);
    if (share === 'none') continue;
    if (share === 'experts') {
      const { weights } = expertWork(shape, layer, matrices);
      expertWeights += weights;
      if (weights > 0) operations += EXPERT_OPERATIONS;
      continue;
    }
    layers += 1;
    const recurrent = isRecurrentLayer(shape, layer);
    const heads = ofLayer(shape.heads, layer);
    const kvHeads = ofLayer(shape.kvHeads, layer);
    operations += DENSE_LAYER_OPERATIONS;
    if (recurrent) {
      const layerWork = recurrentWork(shape);
      denseWeights += layerWork.weights;
      stateValues += layerWork.stateValues;
      operations += RECURRENT_LAYER_OPERATIONS;
    }
    if (kvHeads > 0 && shape.recurrent?.kind !== 'rwkv7') {
      denseWeights += attentionWeights(shape, layer);
      addAttention(attention, attentionWork(shape, layer, heads, kvHeads));
    }
    if (isExpertLayer(shape, layer)) {
      const experts = expertWork(shape, layer, matrices);
      denseWeights += experts.besides;
      operations += EXPERT_LAYER_OPERATIONS - DENSE_LAYER_OPERATIONS;
      if (share === 'all') expertWeights += experts.weights;
      else operations -= EXPERT_OPERATIONS;
    } else {
      denseWeights += matrices * width * ofLayer(shape.feedForwardLength, layer);
    }
  }
  if (shape.perLayerEmbeddingLength !== null) {
    denseWeights += 3 * layers * width * shape.perLayerEmbeddingLength;
  }
  const table = shape.vocabularySize * width;
  return {
    architecture: shape.architecture,
    denseWeights,
    headWeights: part.head ? table : 0,
    tableWeights:
      (shape.tiedEmbeddings ? 0 : table) +
      (shape.perLayerEmbeddingLength ?? 0) * shape.layers * shape.vocabularySize,
    tiedEmbeddings: shape.tiedEmbeddings,
    expertWeights,
    experts: shape.experts === null ? null : { count: shape.experts.count, used: shape.experts.used },
    operations,
    attention: [...attention.values()],
    stateValues,
    activationValues: layers * width,
    recurrent: shape.recurrent !== null,
    latent: shape.latentAttention !== null,
  };
}

/** Weights of the routed experts of a layer, and what a token is multiplied with beside them: router and shared expert. */
function expertWork(
  shape: ModelShape,
  layer: number,
  matrices: number,
): { readonly weights: number; readonly besides: number } {
  const { experts, embeddingLength: width } = shape;
  if (experts === null || !isExpertLayer(shape, layer)) return { weights: 0, besides: 0 };
  const { count, feedForwardLength, latentLength, shared } = experts;
  return {
    weights: count * matrices * (latentLength ?? width) * feedForwardLength,
    besides:
      width * count +
      matrices * width * (shared?.feedForwardLength ?? 0) +
      (latentLength === null ? 0 : 2 * width * latentLength),
  };
}

/** Projections of queries, keys, values and of the output. */
function attentionWeights(shape: ModelShape, layer: number): number {
  const width = shape.embeddingLength;
  const heads = ofLayer(shape.heads, layer);
  const kvHeads = ofLayer(shape.kvHeads, layer);
  const { latentAttention: latent } = shape;
  if (latent !== null) {
    const queries = heads * latent.keyHeadLength;
    const query = latent.queryRank === null ? width * queries : latent.queryRank * (width + queries);
    const cached = latent.kvRank + latent.ropeHeadLength;
    const decompressed = heads * (latent.keyHeadLength - latent.ropeHeadLength + latent.valueHeadLength);
    return query + width * cached + latent.kvRank * decompressed + heads * latent.valueHeadLength * width;
  }
  if (shape.compressedAttention !== null) {
    const { queryRank, outputGroups, outputRank } = shape.compressedAttention;
    const queries = heads * shape.keyHeadLength;
    return (
      queryRank * (width + queries) +
      width * shape.keyHeadLength * 2 +
      outputRank * (queries + outputGroups * width)
    );
  }
  const windowed = isSlidingWindowLayer(shape, layer);
  const key = windowed ? (shape.slidingWindow?.keyHeadLength ?? shape.keyHeadLength) : shape.keyHeadLength;
  const value = windowed
    ? (shape.slidingWindow?.valueHeadLength ?? shape.valueHeadLength)
    : shape.valueHeadLength;
  const own = layer < shape.layers - shape.sharedKvLayers ? kvHeads * (key + value) : 0;
  const gate = GATED_ATTENTION.has(shape.architecture) ? heads * key : 0;
  return width * (heads * (key + value) + gate + own);
}

function attentionWork(shape: ModelShape, layer: number, heads: number, kvHeads: number): AttentionWork {
  const windowed = isSlidingWindowLayer(shape, layer);
  const window = windowed ? (shape.slidingWindow?.size ?? null) : null;
  const compression = shape.compressedAttention?.ratios[layer] ?? 1;
  if (shape.latentAttention !== null) {
    const { kvRank, ropeHeadLength } = shape.latentAttention;
    // One row for all heads; values are the first part of the keys, so nothing is cached for them.
    const row = kvRank + ropeHeadLength;
    return {
      layers: 1,
      window,
      compression: 1,
      keyValues: row,
      valueValues: 0,
      heads,
      keyValueHeads: 1,
      multiplications: heads * (row + kvRank),
    };
  }
  const key = windowed ? (shape.slidingWindow?.keyHeadLength ?? shape.keyHeadLength) : shape.keyHeadLength;
  const value = windowed
    ? (shape.slidingWindow?.valueHeadLength ?? shape.valueHeadLength)
    : shape.valueHeadLength;
  const compressed = shape.compressedAttention !== null;
  return {
    layers: 1,
    window: compressed && compression > 0 ? null : window,
    compression: Math.max(1, compression),
    keyValues: kvHeads * key,
    valueValues: compressed ? 0 : kvHeads * value,
    heads,
    keyValueHeads: kvHeads,
    multiplications: heads * (key + value),
  };
}

function addAttention(groups: Map<string, AttentionWork>, work: AttentionWork): void {
  const key = [
    work.window,
    work.compression,
    work.keyValues,
    work.valueValues,
    work.heads,
    work.keyValueHeads,
    work.multiplications,
  ].join(' ');
  const known = groups.get(key);
  groups.set(key, known === undefined ? work : { ...known, layers: known.layers + 1 });
}

interface RecurrentWork {
  readonly weights: number;
  readonly stateValues: number;
}

/** Projections and state of one recurrent layer: `load_tensors` and `n_embd_s` of llama.cpp v0.5.0. */
function recurrentWork(shape: ModelShape): RecurrentWork {
  const { recurrent, embeddingLength: width } = shape;
  switch (recurrent?.kind) {
    case 'mamba1':
      return {
        weights:
          3 * width * recurrent.innerLength +
          recurrent.innerLength * (2 * recurrent.timeStepRank + 2 * recurrent.stateLength),
        stateValues: recurrent.innerLength * (recurrent.stateLength + recurrent.convWidth),
      };
    case 'mamba2':
      return {
        weights:
          width *
            (2 * recurrent.innerLength + 2 * recurrent.groups * recurrent.stateLength + recurrent.heads) +
          width * recurrent.innerLength,
        stateValues: recurrent.innerLength * (recurrent.stateLength + recurrent.convWidth),
      };
    case 'gated-delta-net':
      return {
        weights:
          width *
          (3 * recurrent.innerLength + 2 * recurrent.groups * recurrent.stateLength + 2 * recurrent.heads),
        stateValues: recurrent.innerLength * (recurrent.stateLength + recurrent.convWidth),
      };
    case 'kimi-delta': {
      const inner = recurrent.heads * recurrent.headLength;
      return { weights: 4 * width * inner, stateValues: inner * recurrent.headLength };
    }
    case 'short-convolution':
      return { weights: 4 * width * width, stateValues: width * recurrent.convWidth };
    case 'rwkv7':
      return { weights: 4 * width * width, stateValues: width * recurrent.headLength };
    case undefined:
      return { weights: 0, stateValues: 0 };
  }
}
