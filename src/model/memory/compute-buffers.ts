import { isExpertLayer, isRecurrentLayer, ofLayer, type ModelShape } from '../shape.ts';
import { bytes, type Bytes } from '../../units/index.ts';
import {
  compressedAttention,
  compressedInputs,
  StreamCopies,
  type CompressedInputs,
} from './compute-compressed.ts';
import { choosesBlocks, indexerInputs } from './compute-indexer.ts';
import { banksResiduals, ResidualBank } from './compute-residuals.ts';
import { ComputeGraph, FLOAT, VALUE_BYTES } from './compute-graph.ts';
import {
  attendedValues,
  attention,
  cacheInputs,
  feedForward,
  type GraphInputs,
  type LayerScope,
} from './compute-layers.ts';
import { recurrence } from './compute-recurrence.ts';
import { allocateGraph, type GraphNode, type NodeId } from './graph-allocator.ts';
import type { ArenaLimits } from './graph/arena.ts';
import { cachedLayers, isWindowed, windowCells } from './kv-state.ts';
import type { ResolvedContext } from './settings.ts';
import type { ModelTensor } from '../tensors.ts';
import { graphBytes, hasGraph } from './graph/graph-bytes.ts';
import { representativeLayers } from './representative-layers.ts';

/** What the buffers of a backend are like. */
export interface ComputeBackend {
  /** The device is the processor itself: there is one buffer. */
  readonly isProcessor: boolean;
  readonly device: ArenaLimits;
  readonly host: ArenaLimits;
  /** Weights and tensors that are larger stay with the processor. */
  readonly maxTensorBytes: number;
}

/** `TENSOR_ALIGNMENT`, ggml/src/ggml-impl.h; buffers of the processor have no largest size. */
const PROCESSOR_BUFFER: ArenaLimits = { alignment: 32, maxChunkBytes: Number.MAX_SAFE_INTEGER };

/**
 * The CPU backend, and Vulkan with the limits that ggml-vulkan.cpp sets where the device has none of its own:
 * `suballocation_block_size` 1 GiB. A tensor may have the device's `maxStorageBufferRange`, 4 GiB less one byte on the
 * drivers of AMD, NVIDIA and Intel. Vulkan's alignment is the device's `minStorageBufferOffsetAlignment`, 16 on
 * most, and the host's `minMemoryMapAlignment`, 64.
 */
export const COMPUTE_BACKENDS = {
  cpu: {
    isProcessor: true,
    device: PROCESSOR_BUFFER,
    host: PROCESSOR_BUFFER,
    maxTensorBytes: Number.MAX_SAFE_INTEGER,
  },
  vulkan: {
    isProcessor: false,
    device: { alignment: 16, maxChunkBytes: 2 ** 30 },
    host: { alignment: 64, maxChunkBytes: 2 ** 30 },
    maxTensorBytes: 2 ** 32 - 1,
  },
} as const satisfies Record<string, ComputeBackend>;

export interface ComputeBytes {
  readonly device: Bytes;
  /** What the processor prepares for the device; 0 where they are the same. */
  readonly host: Bytes;
}

/**
 * The compute buffers of a context, as `llama_context::sched_reserve` lays them out for a full ubatch with logits for
 * every token: the graph is built tensor by tensor and handed to a copy of ggml's allocator.
 * @param lentBytes - of the embedding table, where a device without a head of its own is lent it.
 */
export function computeBytes(
  shape: ModelShape,
  tensors: readonly ModelTensor[],
  context: ResolvedContext,
  backend: ComputeBackend,
  lentBytes = 0,
): ComputeBytes {
  if (hasGraph(shape.architecture)) {
    const sizes = graphBytes(shape, tensors, context, backend);
    return { device: bytes(sizes.device), host: bytes(sizes.host) };
  }
  const lent = backend.isProcessor ? 0 : lentBytes;
  const [device = 0, host = 0] = allocateGraph(computeGraph(shape, context, backend, lent), [
    backend.device,
    backend.host,
  ]);
  return { device: bytes(device), host: bytes(backend.isProcessor ? 0 : host) };
}

/** The tensors of the graph, in the order in which they are computed. */
function computeGraph(
  shape: ModelShape,
  context: ResolvedContext,
  backend: ComputeBackend,
  lentBytes: number,
): readonly GraphNode[] {
  const tokens = Math.min(context.contextTokens, context.ubatchTokens);
  const graph = new ComputeGraph(tokens, !backend.isProcessor, backend.maxTensorBytes);
  const width = shape.embeddingLength;
  const ids = graph.input(tokens * VALUE_BYTES.integer);
  // Embeddings that a caller might give instead of tokens: placed, and as nothing reads them never freed.
  graph.input(width * tokens * FLOAT);
  if (shape.compressedAttention !== null) return compressedGraph(graph, shape, context, ids);
  const inputs = graphInputs(graph, shape, context);
  const outputs = graph.input(tokens * VALUE_BYTES.integer);
  const embedded = graph.onProcessor(width * tokens * FLOAT, [ids]);
  const handed = [embedded, inputs.positions, outputs];
  for (const cache of [inputs.full, inputs.window]) {
    if (cache !== null) handed.push(...new Set([cache.keyRows, cache.valueRows, cache.mask]));
  }
  if (inputs.indexer !== null) handed.push(inputs.indexer.keyRows, inputs.indexer.mask);
  graph.handOver(handed);
  graph.expand();
  const scope: LayerScope = { graph, shape, context, inputs };
  const layers = representativeLayers(shape);
  let stream = embedded;
  const bank = banksResiduals(shape.architecture) ? new ResidualBank(graph, width) : null;
  layers.forEach((layer, index) => {
    if (bank !== null) {
      stream = buildBankedLayer(scope, layer, stream, bank);
      return;
    }
    const chooses = index === layers.length - 1 && LATE_ROWS[shape.architecture] === undefined;
    stream = buildLayer(scope, layer, stream, chooses ? outputs : null);
  });
  const last =
    bank === null
      ? lastRows(scope, stream, outputs)
      : graph.inPlace([graph.row(width, [bank.mix(stream), outputs])]);
  const table = lentBytes > 0 ? [graph.tensor(lentBytes, [])] : [];
  graph.output(shape.vocabularySize * tokens * FLOAT, [last, ...table]);
  return graph.computed();
}

/** The graph of DeepSeek V4: src/models/deepseek4.cpp. */
function compressedGraph(
  graph: ComputeGraph,
  shape: ModelShape,
  context: ResolvedContext,
  ids: NodeId,
): readonly GraphNode[] {
  const width = shape.embeddingLength;
  const inputs = compressedInputs(graph, shape, context);
  const outputs = graph.input(graph.tokens * VALUE_BYTES.integer);
  const embedded = graph.onProcessor(width * graph.tokens * FLOAT, [ids]);
  graph.handOver([embedded, inputs.positions, outputs, inputs.keyRows, inputs.windowMask]);
  graph.handOver([inputs.indexerMask, ...[...inputs.compressed.values()].map(({ mask }) => mask)]);
  const scope: LayerScope = {
    graph,
    shape,
    context,
    inputs: { positions: inputs.positions, full: null, window: null, indexer: null, floatMask: null },
  };
  const streams = new StreamCopies(graph, shape);
  let copies = streams.start(embedded);
  for (const layer of shape.kvHeads.keys()) copies = buildCopiedLayer(scope, layer, copies, streams, inputs);
  const chosen = graph.row(width, [streams.read(copies).stream, outputs]);
  graph.output(shape.vocabularySize * graph.tokens * FLOAT, [graph.inPlace([chosen])]);
  return graph.computed();
}

function buildCopiedLayer(
  scope: LayerScope,
  layer: number,
  copies: NodeId,
  streams: StreamCopies,
  inputs: CompressedInputs,
): NodeId {
  const { graph } = scope;
  const before = streams.read(copies);
  const attended = compressedAttention(scope, layer, graph.inPlace([before.stream]), inputs);
  const between = streams.write(copies, attended, before.factors);
  const after = streams.read(between);
  return streams.write(between, feedForward(scope, layer, graph.inPlace([after.stream])), after.factors);
}

/**
 * Architectures whose graph keeps all rows of the last layer for a draft of the following tokens, and chooses those
 * with logits only then: before or after the last norm (`t_h_nextn` in src/models, release v0.5.0).
 */
const LATE_ROWS: Readonly<Record<string, 'before-norm' | 'after-norm'>> = {
  gemma4: 'after-norm',
  'gpt-oss': 'before-norm',
  nemotron_h: 'after-norm',
  nemotron_h_moe: 'after-norm',
  qwen35: 'after-norm',
  qwen35moe: 'after-norm',
  qwen3next: 'after-norm',
  step35: 'before-norm',
};

/** The normed rows that become logits. What is kept for a draft is an output, which is never freed. */
function lastRows({ graph, shape }: LayerScope, stream: NodeId, outputs: NodeId): NodeId {
  const width = shape.embeddingLength;
  const late = LATE_ROWS[shape.architecture];
  if (late === undefined) return graph.inPlace([stream]);
  if (late === 'before-norm') {
    graph.keep(stream);
    return graph.inPlace([graph.row(width, [stream, outputs])]);
  }
  const normed = graph.inPlace([stream]);
  graph.keep(normed);
  return graph.row(width, [normed, outputs]);
}

function graphInputs(graph: ComputeGraph, shape: ModelShape, context: ResolvedContext): GraphInputs {
  const cached = cachedLayers(shape);
  const full = cached.some((layer) => !isWindowed(shape, layer));
  const windowed = cached.some((layer) => isWindowed(shape, layer));
  const positions = graph.input(graph.tokens * VALUE_BYTES.integer);
  const { sequenceTokens } = context;
  const main = full ? cacheInputs(graph, shape, context, sequenceTokens) : null;
  const choosesTokens = shape.indexer !== null && shape.latentAttention !== null;
  return {
    positions,
    full: main,
    window: windowed ? cacheInputs(graph, shape, context, windowCells(shape, context)) : null,
    indexer: choosesTokens ? indexerInputs(graph, shape, sequenceTokens) : null,
    floatMask: main !== null && choosesBlocks(shape, context) ? graph.row(sequenceTokens, [main.mask]) : null,
  };
}

/** Architectures that norm what comes out of attention and network, not what goes in. */
const NORMS_AFTER: ReadonlySet<string> = new Set(['exaone4', 'olmo2']);

function buildLayer(scope: LayerScope, layer: number, input: NodeId, outputs: NodeId | null): NodeId {
  const { graph, shape } = scope;
  const width = shape.embeddingLength;
  const chosen = (id: NodeId): NodeId => (outputs === null ? id : graph.row(width, [id, outputs]));
  const postNorm = NORMS_AFTER.has(shape.architecture);
  const normed = postNorm ? input : graph.row(width, [input]);
  const mixed = mixLayer(scope, layer, input, normed);
  if (mixed === null) return graph.inPlace([chosen(feedForward(scope, layer, normed)), chosen(input)]);
  const order = RESIDUAL_FIRST[shape.architecture];
  const residual = CHOOSES_SUM.has(shape.architecture)
    ? chosen(graph.inPlace([mixed, input]))
    : order === undefined
      ? graph.inPlace([chosen(mixed), chosen(input)])
      : // The stream is reached first, and its rows are chosen ahead of what the engine has not expanded of the update.
        graph.inPlace([graph.ahead(() => chosen(input)), chosen(mixed)]);
  if (!hasFeedForward(shape, layer)) return residual;
  const again = postNorm ? residual : graph.row(width, [residual]);
  const result = feedForward(scope, layer, again);
  return graph.inPlace(order === 'both' ? [residual, result] : [result, residual]);
}

/** Architectures whose last layer chooses the rows of the sum, not of what is added. */
const CHOOSES_SUM: ReadonlySet<string> = new Set(['falcon-h1']);

/** What a layer adds to its input before the network: of attention, of a recurrence, or of both; null: nothing. */
function mixLayer(scope: LayerScope, layer: number, input: NodeId, normed: NodeId): NodeId | null {
  const { graph, shape } = scope;
  const attends = ofLayer(shape.kvHeads, layer) > 0;
  if (!isRecurrentLayer(shape, layer)) return attends ? attention(scope, layer, normed) : null;
  if (!attends) return recurrence(scope, layer, normed);
  // Both read the input, each through a norm of its own (src/models/falcon-h1.cpp).
  const values = attendedValues(scope, layer, normed);
  const own = graph.row(shape.embeddingLength, [input]);
  let attended: NodeId | null = null;
  const recurred = recurrence(scope, layer, own, () => {
    attended = graph.row(shape.embeddingLength, [values]);
  });
  return attended === null ? recurred : graph.inPlace([attended, recurred]);
}

/** Architectures that add to the stream instead of adding the stream: the sum takes over the memory of the first. */
const RESIDUAL_FIRST: Readonly<Record<string, 'attention' | 'both'>> = {
  jamba: 'both',
  lfm2: 'both',
  lfm2moe: 'both',
  phi3: 'attention',
  phimoe: 'attention',
};

/** A layer of Kimi K3, which reads a mixture of the streams of earlier layers. */
function buildBankedLayer(scope: LayerScope, layer: number, input: NodeId, bank: ResidualBank): NodeId {
  const { graph, shape } = scope;
  const mixture = bank.mix(input);
  const isBanked = bank.isDue(layer);
  if (isBanked) bank.push(input);
  const normed = graph.row(shape.embeddingLength, [mixture]);
  const mixed = isRecurrentLayer(shape, layer)
    ? recurrence(scope, layer, normed)
    : attention(scope, layer, normed);
  const sum = isBanked ? mixed : graph.inPlace([input, mixed]);
  const again = graph.inPlace([bank.mix(sum)]);
  return graph.inPlace([sum, feedForward(scope, layer, again)]);
}

/** Layers of Mamba and of Nemotron H are either recurrent, or attention, or a network. */
const hasFeedForward = (shape: ModelShape, layer: number): boolean =>
  isExpertLayer(shape, layer) || ofLayer(shape.feedForwardLength, layer) > 0;
