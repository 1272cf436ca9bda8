import { isExpertLayer, isSlidingWindowLayer, ofLayer, type ModelShape } from '../../../shape.ts';
import { hasWindowCache, isWindowed } from '../../kv-state.ts';
import { attendToCache, headLengths, queryKeyValue, type Heads } from '../attention.ts';
import { mixtureOfExperts, type ExpertRules } from '../experts.ts';
import type { GraphScope } from '../graph-scope.ts';
import { cacheInputs, embeddings, outputRows, positions, type CacheInputs } from '../inputs.ts';
import { network, SHARED, type Activation } from '../network.ts';
import { TYPE, UNARY } from '../operations.ts';
import type { Tensor } from '../tensor-store.ts';

/** In what the architectures that are built like Llama differ; which weights there are, the file says. */
export interface DecoderRules {
  /** Norms subtract the mean (`LLM_NORM`). */
  readonly layerNorms?: boolean;
  /** Where queries and keys are normed, if they are; rows: before they are divided into heads. */
  readonly normsHeads?: 'before-rope' | 'after-rope' | 'rows';
  /** Absent: all layers rotate. */
  readonly rotates?: (shape: ModelShape, layer: number) => boolean;
  /** Numbers of a token's position. */
  readonly positions?: number;
  /** What has been rotated is normed, without weights (`use_kq_norm`). */
  readonly normsRotated?: (shape: ModelShape) => boolean;
  readonly scalesQuery?: boolean;
  /** Queries of layers that do not rotate are scaled by their position (`inp_attn_scale`). */
  readonly scalesByPosition?: boolean;
  /** The embeddings are scaled as they are looked up, or as the graph begins. */
  readonly scalesEmbeddings?: 'input' | 'graph';
  readonly scalesResidual?: boolean;
  readonly scalesLogits?: boolean;
  /** Logits are bent by a hyperbolic tangent. */
  readonly capsLogits?: boolean;
  readonly capsScores?: boolean;
  /** Each head of what attention gives is gated (`wqkv_gate`). */
  readonly gatesHeads?: boolean;
  /** Layers with a window rotate without the file's factors. */
  readonly plainWindows?: boolean;
  /** What attention gives is scaled (`f_attn_value_scale`). */
  readonly scalesValues?: boolean;
  /** Attention and network read the same norm, and are added in this order. */
  readonly parallel?: 'network-stream-attention' | 'attention-network-stream' | 'network-attention-stream';
  /** Norms of what comes out of attention and network; alone: nothing is normed that goes in. */
  readonly postNorms?: 'also' | 'alone';
  /** The name of the norm before the network. */
  readonly networkNorm?: string;
  /** Norms within attention and network, before their last projections. */
  readonly subNorms?: boolean;
  readonly activation?: Activation;
  readonly experts?: (shape: ModelShape) => ExpertRules;
  /** The network's result is added to the stream, not the stream to it. */
  readonly streamFirst?: boolean;
  /** Rows with logits are chosen after the last layer: see `t_h_nextn`. */
  readonly lateRows?: boolean;
  /** The embedding table itself is the head. */
  readonly readsTable?: boolean;
}

const SOFTMAX: ExpertRules = { gating: 'softmax', normed: true, scaled: false };

/** The graph of a decoder: `llm_build_*` of src/models/llama.cpp and those like it, release v0.5.0. */
export function decoder(scope: GraphScope, rules: DecoderRules, layers: readonly number[]): void {
  new Decoder(scope, rules).build(layers);
}

class Decoder {
  readonly #scope: GraphScope;
  readonly #rules: DecoderRules;
  readonly #windows: boolean;
  #full: CacheInputs | null = null;
  #window: CacheInputs | null = null;
  #positions = -1;
  #positionScale = -1;

  constructor(scope: GraphScope, rules: DecoderRules) {
    this.#scope = scope;
    this.#rules = rules;
    this.#windows = hasWindowCache(scope.shape);
  }

  build(layers: readonly number[]): void {
    const scope = this.#scope;
    const { graph, tokens } = scope;
    const rules = this.#rules;
    const embedded = embeddings(scope, rules.scalesEmbeddings === 'input');
    let stream = rules.scalesEmbeddings === 'graph' ? graph.scale(embedded) : embedded;
    this.#positions = positions(scope, rules.positions);
    if (rules.scalesByPosition === true) this.#positionScale = graph.input(TYPE.f32, 1, 1, tokens);
    this.#full = cacheInputs(scope);
    if (this.#windows) this.#window = cacheInputs(scope, 'window');
    const outputs = outputRows(scope);
    layers.forEach((layer, index) => {
      const chooses = index === layers.length - 1 && rules.lateRows !== true;
      stream = this.#layer(layer, stream, chooses ? outputs : -1);
    });
    if (rules.lateRows === true) {
      graph.setOutput(stream);
      stream = graph.getRows(stream, outputs);
    }
    graph.expand(this.#logits(stream));
  }

  #norm(a: Tensor, layer: number, name: string): Tensor {
    const weight = this.#scope.weightOf(layer, name);
    const bias = this.#scope.biasOf(layer, name);
    return this.#rules.layerNorms === true
      ? this.#scope.layerNorm(a, weight, bias)
      : this.#scope.rmsNorm(a, weight, bias);
  }

  #logits(stream: Tensor): Tensor {
    const scope = this.#scope;
    const { graph } = scope;
    const weight = scope.weight('output_norm.weight');
    const bias = scope.weight('output_norm.bias');
    const normed =
      this.#rules.layerNorms === true
        ? scope.layerNorm(stream, weight, bias)
        : scope.rmsNorm(stream, weight, bias);
    graph.setOutput(normed);
    const head = this.#rules.readsTable === true ? scope.weight('token_embd.weight') : scope.head();
    let logits = graph.mulMat(head, normed);
    const outputBias = scope.weight('output.bias');
    if (outputBias >= 0) logits = graph.add(logits, outputBias);
    if (this.#rules.scalesLogits === true) logits = graph.scale(logits);
    if (this.#rules.capsLogits === true) logits = graph.scale(graph.unary(graph.scale(logits), UNARY.other));
    graph.setOutput(logits);
    return logits;
  }

  #layer(layer: number, input: Tensor, outputs: Tensor): Tensor {
    const scope = this.#scope;
    const { graph, shape } = scope;
    const rules = this.#rules;
    const chosen = (a: Tensor): Tensor => (outputs < 0 ? a : graph.getRows(a, outputs));
    if (rules.parallel !== undefined) return this.#parallelLayer(layer, input, chosen, rules.parallel);
    const attends = ofLayer(shape.kvHeads, layer) > 0;
    const hasNetwork = isExpertLayer(shape, layer) || ofLayer(shape.feedForwardLength, layer) > 0;
    let stream: Tensor;
    if (attends) {
      const normed = rules.postNorms === 'alone' ? input : this.#norm(input, layer, 'attn_norm');
      let attended = this.#attention(layer, normed);
      const rows = chosen(attended);
      const residual = chosen(input);
      attended = rules.postNorms === undefined ? rows : this.#norm(rows, layer, 'post_attention_norm');
      if (rules.scalesResidual === true) attended = graph.scale(attended);
      stream = graph.add(attended, residual);
    } else {
      stream = chosen(input);
    }
    // A layer without a network passes on what it was given (src/models/deci.cpp).
    if (!hasNetwork) return input;
    const normed =
      rules.postNorms === 'alone' ? stream : this.#norm(stream, layer, rules.networkNorm ?? 'ffn_norm');
    let update = this.#network(layer, normed);
    if (rules.postNorms !== undefined) update = this.#norm(update, layer, 'post_ffw_norm');
    if (rules.scalesResidual === true) update = graph.scale(update);
    return rules.streamFirst === true ? graph.add(stream, update) : graph.add(update, stream);
  }

  #parallelLayer(
    layer: number,
    input: Tensor,
    chosen: (a: Tensor) => Tensor,
    order: NonNullable<DecoderRules['parallel']>,
  ): Tensor {
    const { graph } = this.#scope;
    const normed = this.#norm(input, layer, 'attn_norm');
    const attended = chosen(this.#attention(layer, normed));
    const stream = chosen(input);
    const update = this.#network(layer, chosen(normed));
    if (order === 'network-stream-attention') return graph.add(graph.add(update, stream), attended);
    if (order === 'attention-network-stream') return graph.add(graph.add(attended, update), stream);
    return graph.add(graph.add(update, attended), stream);
  }

  #attention(layer: number, normed: Tensor): Tensor {
    const scope = this.#scope;
    const { graph, shape } = scope;
    const rules = this.#rules;
    const inputs = isWindowed(shape, layer) ? this.#window : this.#full;
    if (inputs === null) throw new RangeError(`layer ${layer} of ${shape.id} has no KV cache`);
    const heads =
      rules.normsHeads === 'rows' ? this.#rowNormed(layer, normed) : queryKeyValue(scope, layer, normed);
    const { value } = heads;
    let { query, key } = heads;
    if (rules.normsHeads === 'before-rope') [query, key] = this.#normHeads(layer, query, key);
    if (rules.rotates?.(shape, layer) ?? true) {
      const factors = rules.plainWindows === true && isWindowed(shape, layer) ? -1 : this.#ropeFactors(layer);
      query = graph.rope(query, this.#positions, factors);
      key = graph.rope(key, this.#positions, factors);
      if (rules.normsRotated?.(shape) === true) [query, key] = [graph.rmsNorm(query), graph.rmsNorm(key)];
    } else if (rules.scalesByPosition === true) {
      query = graph.mul(query, this.#positionScale);
    }
    if (rules.normsHeads === 'after-rope') [query, key] = this.#normHeads(layer, query, key);
    if (rules.scalesQuery === true) query = graph.scale(query);
    let result = attendToCache(scope, layer, { query, key, value }, inputs, this.#windows, {
      sinks: scope.of(layer, 'attn_sinks.weight'),
      softCap: rules.capsScores === true,
    });
    if (rules.subNorms === true) result = this.#norm(result, layer, 'attn_sub_norm');
    if (rules.gatesHeads === true) result = this.#gateHeads(layer, normed, result);
    result = scope.project(layer, 'attn_output', result);
    return rules.scalesValues === true ? graph.scale(result) : result;
  }

  #rowNormed(layer: number, normed: Tensor): Heads {
    const scope = this.#scope;
    const { graph, tokens } = scope;
    const { heads, kvHeads, key, value } = headLengths(scope, layer);
    const part = (name: string, norm: string | null, length: number, count: number): Tensor => {
      const rows = scope.project(layer, name, normed);
      return graph.reshape(norm === null ? rows : this.#norm(rows, layer, norm), length, count, tokens);
    };
    return {
      query: part('attn_q', 'attn_q_norm', key, heads),
      key: part('attn_k', 'attn_k_norm', key, kvHeads),
      value: part('attn_v', null, value, kvHeads),
    };
  }

  #gateHeads(layer: number, normed: Tensor, attended: Tensor): Tensor {
    const scope = this.#scope;
    const { graph, tokens } = scope;
    const { heads, value } = headLengths(scope, layer);
    const gate = graph.unary(graph.mulMat(scope.of(layer, 'attn_gate.weight'), normed), UNARY.sigmoid);
    const byHeads = graph.reshape(attended, value, heads, tokens);
    const gated = graph.mul(byHeads, graph.reshape(gate, 1, heads, tokens));
    return graph.reshape(gated, value * heads, tokens);
  }

  #normHeads(layer: number, query: Tensor, key: Tensor): [query: Tensor, key: Tensor] {
    const hasWeight = this.#scope.of(layer, 'attn_q_norm.weight') >= 0;
    return hasWeight
      ? [this.#norm(query, layer, 'attn_q_norm'), this.#norm(key, layer, 'attn_k_norm')]
      : [query, key];
  }

  /** `get_rope_factors`, src/llama-model.cpp. */
  #ropeFactors(layer: number): Tensor {
    const scope = this.#scope;
    const own = scope.repeated(layer, 'rope_freqs.weight');
    if (own >= 0) return own;
    const { ropeScaling } = scope.shape;
    const original =
      ropeScaling !== null && 'originalContextLength' in ropeScaling
        ? ropeScaling.originalContextLength
        : undefined;
    const isLong = scope.context.sequenceTokens > (original ?? scope.shape.contextLength);
    return scope.repeated(layer, isLong ? 'rope_factors_long.weight' : 'rope_factors_short.weight');
  }

  #network(layer: number, normed: Tensor): Tensor {
    const scope = this.#scope;
    const { graph, shape } = scope;
    const { experts, activation } = { activation: 'silu' as const, ...this.#rules };
    if (isExpertLayer(shape, layer) && shape.experts !== null) {
      const rules = experts?.(shape) ?? SOFTMAX;
      const mixed = mixtureOfExperts(scope, layer, normed, shape.experts, rules);
      if (scope.of(layer, 'ffn_up_shexp.weight') < 0) return mixed;
      return graph.add(mixed, network(scope, layer, normed, activation, SHARED));
    }
    if (this.#rules.subNorms !== true) return network(scope, layer, normed, activation);
    const up = scope.project(layer, 'ffn_up', normed);
    const hidden = graph.gluSplit(scope.project(layer, 'ffn_gate', normed), up);
    return scope.project(layer, 'ffn_down', this.#norm(hidden, layer, 'ffn_sub_norm'));
  }
}

/** Llama 4 with 128 experts, Maverick, does not norm what it has rotated (src/models/llama4.cpp). */
const MAVERICK_EXPERTS = 128;
/** Every so many layers one does not rotate (`n_no_rope_layer_step`). */
const NO_ROPE_STEP = 4;
const rotatesThreeOfFour = (_: ModelShape, layer: number): boolean => (layer + 1) % NO_ROPE_STEP !== 0;
/** Layers with a window rotate, those of the whole context do not. */
const rotatesInWindows = (shape: ModelShape, layer: number): boolean =>
  shape.slidingWindow === null || isSlidingWindowLayer(shape, layer);

/** Scores that a correction is added to are sigmoids. */
const byCorrection = (shape: ModelShape): ExpertRules => ({
  gating: shape.experts?.scoreCorrection === true ? 'sigmoid' : 'softmax',
  normed: true,
  scaled: false,
});

/** Positions of pictures and films have a time, a height and a width, and one number is unused (`n_pos_per_embd`). */
const MANY_POSITIONS = 4;

const GEMMA: DecoderRules = { scalesEmbeddings: 'graph', scalesQuery: true, activation: 'gelu' };
const GRANITE: DecoderRules = { scalesEmbeddings: 'input', scalesResidual: true, scalesLogits: true };
const NORMED_HEADS: DecoderRules = { normsHeads: 'before-rope' };

/** src/models/*.cpp by architecture. */
export const DECODERS: Readonly<Record<string, DecoderRules>> = {
  apertus: { ...NORMED_HEADS, activation: 'relu' },
  baichuan: {},
  bailingmoe2: { ...NORMED_HEADS, experts: byCorrection },
  bitnet: { subNorms: true, readsTable: true },
  'command-r': {
    layerNorms: true,
    normsHeads: 'before-rope',
    parallel: 'network-stream-attention',
    scalesLogits: true,
  },
  cohere2: {
    layerNorms: true,
    rotates: rotatesInWindows,
    parallel: 'network-stream-attention',
    scalesLogits: true,
  },
  deci: {},
  dots1: { ...NORMED_HEADS, experts: byCorrection },
  ernie4_5: {},
  'ernie4_5-moe': {},
  exaone4: { ...NORMED_HEADS, rotates: rotatesInWindows, postNorms: 'alone' },
  falcon: { layerNorms: true, parallel: 'network-attention-stream', activation: 'gelu' },
  gemma: GEMMA,
  gemma2: { ...GEMMA, postNorms: 'also', capsLogits: true, capsScores: true },
  gemma3: { ...GEMMA, ...NORMED_HEADS, postNorms: 'also' },
  glm4: { postNorms: 'also', activation: 'halves' },
  glm4moe: { ...NORMED_HEADS, networkNorm: 'post_attention_norm', experts: byCorrection },
  'gpt-oss': {
    networkNorm: 'post_attention_norm',
    lateRows: true,
    experts: () => ({ gating: 'softmax-of-chosen', normed: false, scaled: false }),
  },
  granite: GRANITE,
  'hunyuan-dense': { normsHeads: 'after-rope' },
  'hunyuan-moe': { normsHeads: 'after-rope' },
  internlm2: {},
  llama: {},
  llama4: {
    rotates: rotatesThreeOfFour,
    scalesByPosition: true,
    normsRotated: (shape) => shape.experts?.count !== MAVERICK_EXPERTS,
    experts: () => ({ gating: 'sigmoid', normed: false, scaled: false, weighsInput: true }),
  },
  mimo2: { experts: byCorrection },
  minicpm: GRANITE,
  'minimax-m2': { normsHeads: 'rows', experts: byCorrection },
  mistral3: {},
  olmo2: { normsHeads: 'rows', postNorms: 'alone' },
  olmoe: { normsHeads: 'rows', experts: () => ({ gating: 'softmax', normed: false, scaled: false }) },
  phi2: { layerNorms: true, scalesQuery: true, parallel: 'attention-network-stream', activation: 'gelu' },
  phi3: { scalesQuery: true, activation: 'halves', streamFirst: true },
  phimoe: { scalesQuery: true, streamFirst: true },
  qwen2: {},
  qwen2vl: { positions: MANY_POSITIONS },
  qwen3: NORMED_HEADS,
  qwen3moe: NORMED_HEADS,
  qwen3vl: { ...NORMED_HEADS, positions: MANY_POSITIONS },
  qwen3vlmoe: { ...NORMED_HEADS, positions: MANY_POSITIONS },
  seed_oss: { networkNorm: 'post_attention_norm' },
  step35: { ...NORMED_HEADS, gatesHeads: true, plainWindows: true, lateRows: true, experts: byCorrection },
  smollm3: { rotates: rotatesThreeOfFour },
  starcoder2: { layerNorms: true, activation: 'gelu' },
};

/** Whether the queries and keys of a layer are rotated. */
export const decoderRotates = (shape: ModelShape, layer: number): boolean =>
  DECODERS[shape.architecture]?.rotates?.(shape, layer) ?? true;
