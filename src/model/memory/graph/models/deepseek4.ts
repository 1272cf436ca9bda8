import { indexerOf } from '../../../architectures/latent-attention.ts';
import type { CompressedAttentionShape } from '../../../shape.ts';
import { CSA_RATIO, HCA_RATIO, windowCells } from '../../kv-state.ts';
import { isQuantised, paddedCells } from '../../settings.ts';
import { attend, cachedKeys, rotate, writeKeys } from '../attention.ts';
import { mixtureOfExperts } from '../experts.ts';
import type { GraphScope } from '../graph-scope.ts';
import { embeddings, largestRotation, maskInput, outputRows, positions, rotationInput } from '../inputs.ts';
import { network, SHARED } from '../network.ts';
import { OP, TYPE } from '../operations.ts';
import type { Tensor } from '../tensor-store.ts';
import { compress, compressedRows, compressionInputs, type CompressionInputs } from './compression.ts';
import { bestRows, maskOfChosen, splitFactors } from './indexed.ts';
import { finish } from './logits.ts';
import { StreamCopies } from './stream-copies.ts';

/** What all layers of DeepSeek V4 share: `build_inp_dsv4`, src/llama-graph.cpp. */
interface DeepSeek4Inputs {
  readonly positions: Tensor;
  readonly keyRows: Tensor;
  readonly mask: Tensor;
  /** A matrix that rotates keys before they are quantised; -1: they are not. */
  readonly rotation: Tensor;
  readonly rows4: CompressionInputs;
  readonly rows128: CompressionInputs;
  /** Of the indexer, which always rotates. */
  readonly indexed: CompressionInputs;
}

function inputsOf(scope: GraphScope): DeepSeek4Inputs {
  const { graph, shape, context, tokens } = scope;
  const { sequences } = context;
  const own = { ...context, streams: sequences };
  const rows = (ratio: number): number => paddedCells(Math.ceil(context.sequenceTokens / ratio));
  const rotation = (): Tensor =>
    isQuantised(context.cacheTypeK) ? rotationInput(scope, largestRotation(shape.keyHeadLength)) : -1;
  const mask = (cells: number): Tensor => maskInput(scope, cells, sequences);
  const indexerMask = graph.input(TYPE.f16, rows(CSA_RATIO), tokens / sequences, 1, sequences);
  return {
    positions: positions(scope),
    keyRows: graph.input(TYPE.i64, tokens),
    mask: mask(windowCells(shape, own)),
    rotation: rotation(),
    rows4: compressionInputs(scope, CSA_RATIO, mask(rows(CSA_RATIO)), rotation()),
    rows128: compressionInputs(scope, HCA_RATIO, mask(rows(HCA_RATIO)), rotation()),
    indexed: compressionInputs(
      scope,
      CSA_RATIO,
      indexerMask,
      rotationInput(scope, largestRotation(indexerOf(shape).headLength)),
    ),
  };
}

function compressedOf({ shape }: GraphScope): CompressedAttentionShape {
  if (shape.compressedAttention === null) throw new RangeError(`${shape.id} has no compressed attention`);
  return shape.compressedAttention;
}

/** DeepSeek V4: src/models/deepseek4.cpp. */
export function deepSeek4(scope: GraphScope, layers: readonly number[]): void {
  const { graph, shape, tokens } = scope;
  const ids = graph.input(TYPE.i32, tokens);
  const embedded = embeddings(scope, false, ids);
  const inputs = inputsOf(scope);
  const outputs = outputRows(scope);
  graph.expand(inputs.mask);
  const width = shape.embeddingLength;
  const count = compressedOf(scope).hyperConnections;
  const streams = new StreamCopies(scope, count);
  let copies = graph.repeat4d(graph.reshape(embedded, width, 1, tokens), width, count, tokens, 1);
  for (const layer of layers) {
    const before = streams.read(copies, layer, 'attn');
    const normed = scope.rmsNorm(before.stream, scope.of(layer, 'attn_norm.weight'));
    const attended = attention(scope, inputs, layer, normed);
    copies = streams.write(attended, copies, before);
    const after = streams.read(copies, layer, 'ffn');
    graph.expand(copies);
    graph.expand(after.spread);
    graph.expand(after.mixing);
    const again = scope.rmsNorm(after.stream, scope.of(layer, 'ffn_norm.weight'));
    copies = streams.write(feedForward(scope, ids, layer, again), copies, after);
  }
  const chosen = graph.getRows(graph.reshape(copies, width * count, tokens), outputs);
  finish(scope, streams.readLast(graph.reshape(chosen, width, count, tokens)));
}

/** The first layers choose experts by the token alone. */
function feedForward(scope: GraphScope, ids: Tensor, layer: number, normed: Tensor): Tensor {
  const { graph, shape } = scope;
  if (shape.experts === null) throw new RangeError(`${shape.id} has no experts`);
  const table = scope.of(layer, 'ffn_gate_tid2eid.weight');
  const routed = mixtureOfExperts(scope, layer, normed, shape.experts, {
    gating: 'sqrt-softplus',
    normed: true,
    scaled: true,
    ...(table < 0 ? {} : { chosen: graph.getRows(table, ids) }),
  });
  return graph.add(routed, network(scope, layer, normed, 'silu', SHARED));
}

/** `build_attention`. */
function attention(scope: GraphScope, inputs: DeepSeek4Inputs, layer: number, normed: Tensor): Tensor {
  const { graph, shape, tokens } = scope;
  const { ratios, outputGroups, outputRank } = compressedOf(scope);
  const heads = scope.heads(layer);
  const length = shape.keyHeadLength;
  const weight = (name: string): Tensor => scope.of(layer, name);
  const narrow = scope.rmsNorm(
    graph.mulMat(weight('attn_q_a.weight'), normed),
    weight('attn_q_a_norm.weight'),
  );
  const wide = graph.reshape(graph.mulMat(weight('attn_q_b.weight'), narrow), length, heads, tokens);
  const query = graph.rope(graph.rmsNorm(wide), inputs.positions);
  const row = scope.rmsNorm(graph.mulMat(weight('attn_kv.weight'), normed), weight('attn_kv_a_norm.weight'));
  const key = graph.rope(graph.reshape(row, length, 1, tokens), inputs.positions);
  const ratio = ratios[layer] ?? 0;
  if (ratio === CSA_RATIO) {
    compress(scope, inputs.rows4, layer, normed, 'attn');
    compress(scope, inputs.indexed, layer, normed, 'indexer');
  }
  if (ratio === HCA_RATIO) compress(scope, inputs.rows128, layer, normed, 'attn');
  let result = attendToRows(scope, inputs, layer, ratio, { query, key, narrow, normed });
  result = graph.reshape(result, length, heads, tokens);
  result = graph.sameLengths(OP.ropeBack, result, inputs.positions);
  const group = (heads / outputGroups) * length;
  result = graph.permute(graph.reshape(result, group, outputGroups, tokens), 0, 2, 1, 3);
  const narrowing = groupedWeight(scope, layer, group, outputRank, outputGroups);
  const low = graph.permute(graph.mulMat(narrowing, result), 0, 2, 1, 3);
  return graph.mulMat(weight('attn_output_b.weight'), graph.cont2d(low, outputRank * outputGroups, tokens));
}

/** The engine loads the weight of all groups as one matrix for each. */
function groupedWeight(
  scope: GraphScope,
  layer: number,
  length: number,
  rank: number,
  groups: number,
): Tensor {
  return scope.reshapedWeight(scope.of(layer, 'attn_output_a.weight'), length, rank, groups);
}

interface RowSources {
  readonly query: Tensor;
  readonly key: Tensor;
  readonly narrow: Tensor;
  readonly normed: Tensor;
}

/** To the last tokens and to compressed rows: `build_csa_lid_attention`, `build_hca_attention`, `build_raw_attention`. */
function attendToRows(
  scope: GraphScope,
  inputs: DeepSeek4Inputs,
  layer: number,
  ratio: number,
  { query, key, narrow, normed }: RowSources,
): Tensor {
  const { graph, shape } = scope;
  const chosen = ratio === CSA_RATIO ? chooseRows(scope, inputs, layer, narrow, normed) : -1;
  const turn = (a: Tensor): Tensor => (inputs.rotation < 0 ? a : rotate(scope, a, inputs.rotation));
  const turnedQuery = turn(query);
  const turnedKey = turn(key);
  graph.expand(turnedQuery);
  graph.expand(turnedKey);
  const window = scope.cache(layer, 'window');
  graph.expand(writeKeys(scope, window, inputs.keyRows, turnedKey));
  const recent = cachedKeys(scope, window, shape.keyHeadLength, 1);
  const sinks = scope.of(layer, 'attn_sinks.weight');
  if (ratio === 0) return turn(attend(scope, turnedQuery, recent, recent, inputs.mask, { sinks }));
  const { mask } = ratio === CSA_RATIO ? inputs.rows4 : inputs.rows128;
  const rows = compressedRows(scope, layer, 'compressed', graph.ne(mask, 0));
  const keys = graph.concat(recent, rows, 2);
  const masks = graph.concat(
    inputs.mask,
    chosen < 0 ? mask : maskOfChosen(scope, mask, chosen, graph.type[mask] ?? TYPE.f32),
    0,
  );
  return turn(attend(scope, turnedQuery, keys, keys, masks, { sinks }));
}

/** `build_lid_top_k`. */
function chooseRows(
  scope: GraphScope,
  inputs: DeepSeek4Inputs,
  layer: number,
  narrow: Tensor,
  normed: Tensor,
): Tensor {
  const { graph, tokens } = scope;
  const { heads, headLength } = indexerOf(scope.shape);
  const wide = graph.mulMat(scope.of(layer, 'indexer.attn_q_b.weight'), narrow);
  const turned = graph.rope(graph.reshape(wide, headLength, heads, tokens), inputs.positions);
  const query = rotate(scope, turned, inputs.indexed.rotation);
  const weights = graph.scale(graph.mulMat(scope.of(layer, 'indexer.proj.weight'), normed));
  const { mask } = inputs.indexed;
  const keys = compressedRows(scope, layer, 'indexer', graph.ne(mask, 0));
  return bestRows(scope, { query, keys, factors: splitFactors(scope, weights, graph.ne(keys, 3)), mask });
}
