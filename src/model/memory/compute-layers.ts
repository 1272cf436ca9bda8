import { bytesPerWeight } from '../ggml-types.ts';
import { isExpertLayer, ofLayer, type ModelShape } from '../shape.ts';
import { FLOAT, VALUE_BYTES, type ComputeGraph } from './compute-graph.ts';
import type { NodeId } from './graph-allocator.ts';
import { attendToBlocks, indexedTokens, maskOfChosen, type IndexerInputs } from './compute-indexer.ts';
import { isWindowed, keepsKeysOnly, keyRowLength, valueRowLength, widestValueRow } from './kv-state.ts';
import { isQuantised, type ResolvedContext } from './settings.ts';

/** The inputs of one KV cache: which cells are seen, and where new rows go. */
export interface CacheInputs {
  readonly mask: NodeId;
  readonly keyRows: NodeId;
  readonly valueRows: NodeId;
  /** Cells of a stream. */
  readonly cells: number;
}

/** Everything that the layers of a graph share. */
export interface GraphInputs {
  readonly full: CacheInputs | null;
  readonly window: CacheInputs | null;
  readonly positions: NodeId;
  /** null: the model has none, or does not use it with these settings. */
  readonly indexer: IndexerInputs | null;
  /** The mask in F32, for indexers that choose blocks. */
  readonly floatMask: NodeId | null;
}

/** Where a layer's graph is built. */
export interface LayerScope {
  readonly graph: ComputeGraph;
  readonly shape: ModelShape;
  readonly context: ResolvedContext;
  readonly inputs: GraphInputs;
}

/**
 * The mask and the row numbers of a cache (`build_attn_inp_kv_impl`, src/llama-graph.cpp). A transposed V cache is
 * written value by value, and needs a number for each.
 */
export function cacheInputs(
  graph: ComputeGraph,
  shape: ModelShape,
  context: ResolvedContext,
  cells: number,
): CacheInputs {
  const { tokens } = graph;
  const keyRows = graph.input(tokens * VALUE_BYTES.index);
  const values = context.flashAttention ? 1 : widestValueRow(shape);
  const valueRows = keepsKeysOnly(shape) ? keyRows : graph.input(tokens * values * VALUE_BYTES.index);
  const mask = graph.input(cells * tokens * (context.flashAttention ? VALUE_BYTES.half : FLOAT));
  return { mask, keyRows, valueRows, cells };
}

/** Attention over a KV cache: `build_qkv`, `build_attn` and `build_attn_mha`, src/llama-graph.cpp. */
export function attention(scope: LayerScope, layer: number, normed: NodeId): NodeId {
  const values =
    scope.shape.latentAttention === null
      ? attendedValues(scope, layer, normed)
      : latentValues(scope, layer, normed);
  return scope.graph.row(scope.shape.embeddingLength, [values]);
}

/** The same before its last projection. */
export function attendedValues(scope: LayerScope, layer: number, normed: NodeId): NodeId {
  const { graph, shape, context } = scope;
  const heads = ofLayer(shape.heads, layer);
  const window = isWindowed(shape, layer) ? shape.slidingWindow : null;
  const keyLength = window?.keyHeadLength ?? shape.keyHeadLength;
  const valueLength = window?.valueHeadLength ?? shape.valueHeadLength;
  const cache = (window === null ? scope.inputs.full : scope.inputs.window) ?? scope.inputs.full;
  if (cache === null) throw new RangeError(`layer ${layer} of ${shape.id} has no KV cache`);
  const rotates = { key: isQuantised(context.cacheTypeK), value: isQuantised(context.cacheTypeV) };
  const gated = hasOutputGate(shape);
  const projected = graph.row((gated ? 2 : 1) * heads * keyLength, [normed]);
  // What is rotated or normed is a view of heads, whose memory is never taken over.
  let query = graph.row(heads * keyLength, [projected, scope.inputs.positions]);
  if (rotates.key) query = graph.row(heads * keyLength, [query]);
  if (layer < shape.layers - shape.sharedKvLayers) {
    let value = graph.row(valueRowLength(shape, layer), [normed]);
    if (rotates.value) value = graph.row(valueRowLength(shape, layer), [value]);
    const projectedKey = graph.row(keyRowLength(shape, layer), [normed]);
    let key = graph.row(keyRowLength(shape, layer), [projectedKey, scope.inputs.positions]);
    if (rotates.key) key = graph.row(keyRowLength(shape, layer), [key]);
    graph.use([key, cache.keyRows]);
    graph.use([value, cache.valueRows]);
    graph.expand();
  }
  const { floatMask } = scope.inputs;
  let result =
    floatMask !== null && shape.indexer?.onLayers[layer] === true
      ? attendToBlocks(graph, shape, context, floatMask, cache.cells, normed, query, heads * valueLength)
      : attend(scope, cache, heads, [query], heads * valueLength, {
          key: keyRowLength(shape, layer),
          value: valueRowLength(shape, layer),
        });
  graph.expand();
  if (rotates.value) result = graph.row(heads * valueLength, [result]);
  if (gated) result = graph.inPlace([graph.row(heads * keyLength, [projected])], [result]);
  return result;
}

/** Queries come with a gate of their own length (Qwen3-Next and Qwen3.5: `build_layer_attn`, src/models/qwen35.cpp). */
const hasOutputGate = (shape: ModelShape): boolean =>
  ['qwen3next', 'qwen35', 'qwen35moe'].includes(shape.architecture);

/** With flash attention one tensor; without it the scores of all heads, which softmax takes over, and two results. */
function attend(
  { graph, context }: LayerScope,
  cache: CacheInputs,
  heads: number,
  sources: readonly NodeId[],
  width: number,
  rows: { readonly key: number; readonly value: number },
): NodeId {
  const cells = cache.cells * context.streams;
  const keys = bytesPerWeight(context.cacheTypeK) * rows.key * cells;
  const values = bytesPerWeight(context.cacheTypeV) * rows.value * cells;
  if (context.flashAttention) return graph.row(width, [...sources, cache.mask], [keys, values]);
  // Where the processor has to do it, both caches are copied to it at once.
  const scores = graph.row(cache.cells * heads, sources, [keys, values]);
  const weights = graph.inPlace([scores], [cache.mask]);
  const mixed = graph.row(width, [weights]);
  return graph.row(width, [mixed]);
}

/** Multi-head latent attention over the compressed row (src/models/deepseek2.cpp). */
function latentValues(scope: LayerScope, layer: number, normed: NodeId): NodeId {
  const { graph, shape, context, inputs } = scope;
  const { latentAttention: latent } = shape;
  if (latent === null || inputs.full === null) throw new RangeError(`${shape.id} has no latent attention`);
  const heads = ofLayer(shape.heads, layer);
  const rowLength = latent.kvRank + latent.ropeHeadLength;
  let compressed = normed;
  if (latent.queryRank !== null) compressed = graph.inPlace([graph.row(latent.queryRank, [normed])]);
  const choose =
    inputs.indexer !== null && shape.indexer?.onLayers[layer] === true
      ? indexedTokens(graph, shape, inputs.indexer, inputs.full.cells, normed, compressed)
      : null;
  const query = graph.row(heads * latent.keyHeadLength, [compressed]);
  const absorbed = graph.row(heads * latent.kvRank, [query]);
  const rotated = graph.row(heads * latent.ropeHeadLength, [query, inputs.positions]);
  let whole = graph.row(heads * rowLength, [absorbed, rotated]);
  const keyValue = graph.row(rowLength, [normed]);
  const normedKey = graph.row(latent.kvRank, [keyValue]);
  const rotatedKey = graph.row(latent.ropeHeadLength, [keyValue, inputs.positions]);
  let key = graph.row(rowLength, [normedKey, rotatedKey]);
  if (isQuantised(context.cacheTypeK) && choose === null) {
    whole = graph.row(heads * rowLength, [whole]);
    key = graph.row(rowLength, [key]);
  }
  graph.use([key, inputs.full.keyRows]);
  const { cells } = inputs.full;
  let { mask } = inputs.full;
  if (choose !== null && inputs.indexer !== null) {
    // Those of the layers that are not laid out would have been freed by now.
    const zeros = [...inputs.indexer.zeros].filter(([each]) => each <= layer).map(([, id]) => id);
    for (const each of inputs.indexer.zeros.keys()) if (each <= layer) inputs.indexer.zeros.delete(each);
    mask = maskOfChosen(graph, context, mask, cells, zeros, choose());
  }
  let mixed: NodeId;
  if (context.flashAttention) {
    mixed = graph.row(heads * latent.kvRank, [whole, mask]);
  } else {
    const weights = graph.inPlace([graph.row(cells * heads, [whole])], [mask]);
    // V is a view of the keys, which no product can read transposed (`v_cont`).
    const values = graph.tensor(
      latent.kvRank * cells * context.streams * bytesPerWeight(context.cacheTypeK),
      [inputs.full.keyRows],
    );
    mixed = graph.row(heads * latent.kvRank, [values, weights]);
  }
  const decompressed = graph.row(heads * latent.valueHeadLength, [mixed]);
  const joined = graph.row(heads * latent.valueHeadLength, [decompressed]);
  graph.expand();
  if (!gatesLatent(shape)) return joined;
  const gate = graph.inPlace([graph.row(heads * latent.valueHeadLength, [normed])]);
  return graph.inPlace([joined, gate]);
}

/** The result of latent attention is multiplied with a gate (`mla_gated`, src/models/kimi-k3.cpp). */
const gatesLatent = (shape: ModelShape): boolean => shape.architecture === 'kimi-k3';

/** The part of a layer after attention: `build_ffn`, `build_moe_ffn`, src/llama-graph.cpp. */
export function feedForward({ graph, shape }: LayerScope, layer: number, normed: NodeId): NodeId {
  if (!isExpertLayer(shape, layer)) {
    return network(graph, shape, ofLayer(shape.feedForwardLength, layer), normed);
  }
  const { experts, embeddingLength } = shape;
  if (experts === null) throw new RangeError(`layer ${layer} of ${shape.id} has no experts`);
  const { count, used, feedForwardLength } = experts;
  const width = experts.latentLength ?? embeddingLength;
  const probabilities = graph.inPlace([graph.row(count, [normed])]);
  const scores = experts.scoreCorrection ? graph.row(count, [probabilities]) : probabilities;
  const chosen = graph.tensor(count * graph.tokens * VALUE_BYTES.integer, [scores]);
  const weights = graph.row(used, [probabilities, chosen]);
  graph.expand();
  const input = experts.latentLength === null ? normed : graph.row(experts.latentLength, [normed]);
  const hidden = gatedWidth(graph, shape, feedForwardLength * used, [input, chosen]);
  let each = graph.row(width * used, [hidden, chosen]);
  each = graph.inPlace([each], [weights]);
  const first = graph.row(width, [each]);
  let sum = graph.inPlace([first], [each]);
  graph.expand();
  if (experts.latentLength !== null) sum = graph.row(embeddingLength, [sum]);
  if (experts.shared === null) return sum;
  const shared = network(graph, shape, experts.shared.feedForwardLength, normed);
  return graph.inPlace([sum, shared]);
}

function network(graph: ComputeGraph, shape: ModelShape, width: number, input: NodeId): NodeId {
  return graph.row(shape.embeddingLength, [gatedWidth(graph, shape, width, [input])]);
}

/** Gate and up projection and their product; or up alone, activated in place. */
function gatedWidth(
  graph: ComputeGraph,
  shape: ModelShape,
  width: number,
  inputs: readonly NodeId[],
): NodeId {
  const kind = FEED_FORWARD_KINDS[shape.architecture] ?? 'gated';
  if (kind === 'plain') return graph.inPlace([graph.row(width, inputs)]);
  if (kind === 'fused') return graph.row(width, [graph.row(2 * width, inputs)]);
  if (kind === 'bent') {
    // Gate and up are each bent by tanh; the gate once more by a sigmoid (`kimi_k3_situ`, src/models/kimi-k3.cpp).
    const gate = graph.row(width, inputs);
    const bent = graph.row(width, [gate]);
    const product = graph.inPlace([bent], [graph.inPlace([gate])]);
    return graph.inPlace([product], [graph.inPlace([graph.row(width, inputs)])]);
  }
  const gate = graph.row(width, inputs);
  const up = graph.row(width, inputs);
  return graph.row(width, [gate, up]);
}

/** How an architecture's dense network is built, where it is not gated by a tensor of its own. */
const FEED_FORWARD_KINDS: Readonly<Record<string, 'plain' | 'fused' | 'bent'>> = {
  apertus: 'plain',
  falcon: 'plain',
  glm4: 'fused',
  'kimi-k3': 'bent',
  nemotron: 'plain',
  nemotron_h: 'plain',
  nemotron_h_moe: 'plain',
  phi2: 'plain',
  phi3: 'fused',
  starcoder2: 'plain',
};
