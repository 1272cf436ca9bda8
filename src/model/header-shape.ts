import type { GgufHeader } from './gguf/parse-header.ts';
import { HeaderReader, HeaderShapeError } from './header-reader.ts';
import type { ShapeFields } from './shape.ts';

type Experts = NonNullable<ShapeFields['experts']>;
type SlidingWindow = NonNullable<ShapeFields['slidingWindow']>;
type Recurrent = NonNullable<ShapeFields['recurrent']>;

/**
 * Reads the shape of a model from the header of its file, as `load_hparams` of src/llama-model.cpp and
 * `load_arch_hparams` of src/models, release v0.5.0, do.
 * @param label - how errors name the file.
 * @throws HeaderShapeError when the header does not say enough.
 */
export function shapeFieldsOfHeader(header: GgufHeader, id: string, label: string): ShapeFields {
  const read = new HeaderReader(header, label);
  const heads = read.perLayer('attention.head_count') ?? 0;
  const embeddingLength = read.required('embedding_length');
  const vocabularySize =
    read.dimension('token_embd.weight', 1) ??
    read.number('vocab_size') ??
    read.lengthOf('tokenizer.ggml.tokens');
  if (vocabularySize === undefined) {
    throw new HeaderShapeError(`${label} does not say how many tokens its vocabulary has.`);
  }
  const mostHeads = typeof heads === 'number' ? heads : Math.max(...heads);
  const headLength = mostHeads === 0 ? 0 : Math.floor(embeddingLength / mostHeads);
  const keyHeadLength = read.number('attention.key_length') ?? headLength;
  const valueHeadLength = read.number('attention.value_length') ?? headLength;
  return {
    id,
    architecture: read.architecture,
    layers: read.layers,
    embeddingLength,
    feedForwardLength: read.perLayer('feed_forward_length') ?? 0,
    heads,
    kvHeads: read.perLayer('attention.head_count_kv') ?? heads,
    keyHeadLength: mostHeads === 0 ? 0 : keyHeadLength,
    valueHeadLength: mostHeads === 0 ? 0 : valueHeadLength,
    vocabularySize,
    contextLength: read.required('context_length'),
    rope: rope(read, keyHeadLength),
    normEpsilon:
      read.positive('attention.layer_norm_rms_epsilon') ?? read.positive('attention.layer_norm_epsilon'),
    tiedEmbeddings: !read.hasTensor('output.weight'),
    slidingWindow: slidingWindow(read, keyHeadLength, valueHeadLength),
    sharedKvLayers: sharedKvLayers(read),
    latentAttention: latentAttention(read),
    indexer: indexer(read),
    compressedAttention: compressedAttention(read),
    recurrent: recurrent(read),
    experts: experts(read),
    perLayerEmbeddingLength: perLayerEmbeddingLength(read),
    queryKeyNorms: read.architecture === 'glm4moe' ? read.hasTensor('blk.0.attn_q_norm.weight') : undefined,
    mtpLayers: read.mtpLayers === 0 ? undefined : read.mtpLayers,
    biases: biases(read),
  };
}

function rope(read: HeaderReader, headLength: number): ShapeFields['rope'] {
  const dimensions = read.positive('rope.dimension_count');
  const fields = {
    base: read.positive('rope.freq_base'),
    dimensions: dimensions === headLength ? undefined : dimensions,
    scaling: ropeScaling(read),
  };
  return Object.values(fields).every((value) => value === undefined) ? undefined : fields;
}

type Scaling = NonNullable<NonNullable<ShapeFields['rope']>['scaling']>;

/** Llama 3's scaling lies in the file as factors alone; its parameters are those that Meta published. */
const LLAMA_3_SCALING: Scaling = {
  kind: 'llama3',
  factor: 8,
  lowFrequencyFactor: 1,
  highFrequencyFactor: 4,
  originalContextLength: 8192,
};

function ropeScaling(read: HeaderReader): Scaling | undefined {
  const factor = read.positive('rope.scaling.factor');
  const originalContextLength = read.positive('rope.scaling.original_context_length');
  if (read.hasTensor('rope_factors_long.weight')) return { kind: 'longrope', originalContextLength };
  // Gemma 4 has such factors as well, for a part of each head that is not rotated.
  if (read.hasTensor('rope_freqs.weight') && read.architecture !== 'gemma4') return LLAMA_3_SCALING;
  if (factor === undefined) return undefined;
  const type = read.text('rope.scaling.type');
  if (type === 'linear') return { kind: 'linear', factor };
  if (type !== 'yarn' || originalContextLength === undefined) return undefined;
  return {
    kind: 'yarn',
    factor,
    originalContextLength,
    betaFast: read.positive('rope.scaling.yarn_beta_fast'),
    betaSlow: read.positive('rope.scaling.yarn_beta_slow'),
  };
}

/** The periods that the loaders pass to `load_swa_pattern` where the header has no pattern. */
export const WINDOW_PERIODS: Readonly<
  Record<string, { readonly period: number; readonly fullFirst?: true }>
> = {
  afmoe: { period: 4 },
  cohere2: { period: 4 },
  cohere2moe: { period: 4, fullFirst: true },
  'exaone-moe': { period: 4 },
  exaone4: { period: 4 },
  gemma2: { period: 2 },
  gemma3: { period: 6 },
  gemma3n: { period: 5 },
  'gpt-oss': { period: 2 },
  laguna: { period: 4, fullFirst: true },
  llama4: { period: 4 },
  mellum: { period: 4 },
  olmo2: { period: 4 },
  plamo3: { period: 8 },
  smallthinker: { period: 4, fullFirst: true },
};

/** `n_swa` of loaders that set it themselves (src/models, release v0.5.0). */
const WINDOW_SIZES: Readonly<Record<string, number>> = { llama4: 8192, gemma2: 4096 };

function slidingWindow(
  read: HeaderReader,
  keyLength: number,
  valueLength: number,
): SlidingWindow | undefined {
  const stated = read.number('attention.sliding_window');
  const size = stated ?? WINDOW_SIZES[read.architecture] ?? 0;
  if (size === 0) return undefined;
  const layers = read
    .list('attention.sliding_window_pattern')
    ?.map((windowed) => (windowed === 0 ? (0 as const) : (1 as const)));
  const pattern = WINDOW_PERIODS[read.architecture];
  const period = read.positive('attention.sliding_window_pattern') ?? pattern?.period;
  const everywhere = read.architecture === 'deepseek4';
  if (layers === undefined && period === undefined && !everywhere) return undefined;
  const key = read.positive('attention.key_length_swa');
  const value = read.positive('attention.value_length_swa');
  return {
    // llama4.cpp takes its chunks of 8192 whatever the header says, 0 apart.
    size: read.architecture === 'llama4' ? (WINDOW_SIZES['llama4'] ?? size) : size,
    kind: read.architecture === 'llama4' ? 'chunked' : undefined,
    ...placement(read, layers, period, pattern?.fullFirst),
    keyHeadLength: key === keyLength ? undefined : key,
    valueHeadLength: value === valueLength ? undefined : value,
    fullLayersReuseKeys: reusesKeys(read, layers) ? true : undefined,
    ropeBase: read.positive('rope.freq_base_swa'),
  };
}

function placement(
  read: HeaderReader,
  layers: (0 | 1)[] | undefined,
  period: number | undefined,
  fullFirst: true | undefined,
): Pick<SlidingWindow, 'layers' | 'period' | 'fullFirst'> {
  if (layers !== undefined) return { layers };
  return period === undefined ? { layers: Array<1>(read.layers).fill(1) } : { period, fullFirst };
}

/** Gemma 4: full layers without weights for values. */
function reusesKeys(read: HeaderReader, layers: readonly (0 | 1)[] | undefined): boolean {
  const full = layers?.indexOf(0) ?? -1;
  return (
    read.architecture === 'gemma4' &&
    full >= 0 &&
    read.hasTensor(`blk.${full}.attn_k.weight`) &&
    !read.hasTensor(`blk.${full}.attn_v.weight`)
  );
}

/** gemma3n.cpp gives the first 20 layers a cache of their own, whatever the header says. */
const GEMMA_3N_OWN_LAYERS = 20;

function sharedKvLayers(read: HeaderReader): number | undefined {
  const shared =
    read.architecture === 'gemma3n'
      ? read.layers - GEMMA_3N_OWN_LAYERS
      : (read.number('attention.shared_kv_layers') ?? 0);
  return shared > 0 ? shared : undefined;
}

/** `n_embd_altup` of gemma3n.cpp, which every layer's embeddings have. */
const GEMMA_3N_PER_LAYER_LENGTH = 256;

function perLayerEmbeddingLength(read: HeaderReader): number | undefined {
  const stated = read.positive('embedding_length_per_layer_input');
  return stated ?? (read.architecture === 'gemma3n' ? GEMMA_3N_PER_LAYER_LENGTH : undefined);
}

function latentAttention(read: HeaderReader): ShapeFields['latentAttention'] {
  const keyHeadLength = read.positive('attention.key_length_mla');
  const valueHeadLength = read.positive('attention.value_length_mla');
  if (keyHeadLength === undefined || valueHeadLength === undefined) return undefined;
  return {
    kvRank: read.required('attention.kv_lora_rank'),
    queryRank:
      read.layersWith('attn_q_a.weight').length > 0 ? read.positive('attention.q_lora_rank') : undefined,
    ropeHeadLength: read.required('rope.dimension_count'),
    keyHeadLength,
    valueHeadLength,
  };
}

function indexer(read: HeaderReader): ShapeFields['indexer'] {
  const heads = read.positive('attention.indexer.head_count');
  const headLength = read.positive('attention.indexer.key_length');
  const topK = read.positive('attention.indexer.top_k');
  if (heads === undefined || headLength === undefined || topK === undefined) return undefined;
  const types = read.list('attention.indexer.types');
  const named = ['indexer.attn_k.weight', 'indexer.k_proj.weight'].flatMap((name) => read.layersWith(name));
  const owners = types === undefined ? named : types.flatMap((type, layer) => (type === 0 ? [] : [layer]));
  const size = read.positive('attention.indexer.block_size');
  return {
    heads,
    headLength,
    topK,
    layers: owners.length === 0 || owners.length === read.layers ? undefined : owners,
    blocks:
      size === undefined ? undefined : { size, local: read.number('attention.indexer.local_blocks') ?? 0 },
  };
}

function compressedAttention(read: HeaderReader): ShapeFields['compressedAttention'] {
  const ratios = read.list('attention.compress_ratios');
  if (ratios === undefined) return undefined;
  return {
    ratios,
    queryRank: read.required('attention.q_lora_rank'),
    ropeHeadLength: read.required('rope.dimension_count'),
    outputGroups: read.required('attention.output_group_count'),
    outputRank: read.required('attention.output_lora_rank'),
    hyperConnections: read.required('hyper_connection.count'),
  };
}

function experts(read: HeaderReader): Experts | undefined {
  const count = read.positive('expert_count');
  if (count === undefined) return undefined;
  const owners = read.layersWith('ffn_gate_inp.weight');
  const [first = 0] = owners;
  const width =
    read.positive('expert_feed_forward_length') ??
    read.dimension(`blk.${first}.ffn_up_exps.weight`, 1) ??
    read.dimension(`blk.${first}.ffn_gate_exps.weight`, 1);
  const wide = read.perLayer('expert_feed_forward_length');
  const feedForwardLength = typeof wide === 'object' ? Math.max(...wide) : width;
  const groups = read.positive('expert_group_count') ?? 1;
  return {
    count,
    used: read.required('expert_used_count'),
    feedForwardLength: feedForwardLength ?? read.required('expert_feed_forward_length'),
    shared: sharedExperts(read, first, feedForwardLength ?? 0),
    ...expertPlacement(read, owners),
    scoreCorrection: read.layersWith('exp_probs_b.bias').length > 0 ? true : undefined,
    groups: groups > 1 ? { count: groups, used: read.required('expert_group_used_count') } : undefined,
    latentLength: read.positive('moe_latent_size') ?? read.positive('expert_latent_length'),
    hashRoutedLayers: read.positive('hash_layer_count'),
  };
}

function sharedExperts(read: HeaderReader, layer: number, width: number): Experts['shared'] {
  const length = read.dimension(`blk.${layer}.ffn_up_shexp.weight`, 1);
  if (length === undefined) return undefined;
  const count = read.positive('expert_shared_count') ?? Math.max(1, Math.round(length / Math.max(1, width)));
  return { count, feedForwardLength: length };
}

/** Dense layers lead, or experts come at every n-th layer; where widths are listed, the list says it. */
function expertPlacement(
  read: HeaderReader,
  owners: readonly number[],
): Pick<Experts, 'leadingDenseLayers' | 'placement'> {
  const [first, second] = owners;
  if (first === undefined || second === undefined || read.list('feed_forward_length') !== undefined)
    return {};
  const every = second - first;
  if (every > 1) return { placement: { every, offset: first % every } };
  return first === 0 ? {} : { leadingDenseLayers: first };
}

function recurrent(read: HeaderReader): Recurrent | undefined {
  const convWidth = read.positive('ssm.conv_kernel');
  const shortConvolution = read.positive('shortconv.l_cache');
  const layers = recurrentLayers(read);
  if (shortConvolution !== undefined) {
    return { kind: 'short-convolution', layers, convWidth: shortConvolution };
  }
  if (read.architecture === 'rwkv7') {
    return {
      kind: 'rwkv7',
      layers,
      headLength: read.required('wkv.head_size'),
      tokenShifts: read.number('token_shift_count') ?? 2,
      loraRanks: {
        decay: read.required('attention.decay_lora_rank'),
        learningRate: read.required('attention.iclr_lora_rank'),
        value: read.required('attention.value_residual_mix_lora_rank'),
        gate: read.required('attention.gate_lora_rank'),
      },
    };
  }
  if (convWidth === undefined) return undefined;
  const headLength = read.positive('kda.head_dim');
  if (headLength !== undefined) {
    const heads = read.perLayer('attention.head_count') ?? 0;
    return {
      kind: 'kimi-delta',
      layers,
      convWidth,
      heads: typeof heads === 'number' ? heads : Math.max(...heads),
      headLength,
    };
  }
  const common = {
    layers,
    convWidth,
    innerLength: read.required('ssm.inner_size'),
    stateLength: read.required('ssm.state_size'),
  };
  const rank = read.required('ssm.time_step_rank');
  const groups = read.positive('ssm.group_count');
  if (groups === undefined) return { kind: 'mamba1', ...common, timeStepRank: rank };
  if (read.architecture.startsWith('qwen')) {
    return { kind: 'gated-delta-net', ...common, groups, heads: rank };
  }
  const withoutNorm = read.layersWith('ssm_norm.weight').length === 0 ? (true as const) : undefined;
  return { kind: 'mamba2', ...common, groups, heads: rank, withoutNorm };
}

/** `is_recr_impl` of the loaders. */
function recurrentLayers(read: HeaderReader): Recurrent['layers'] {
  if (['mamba', 'mamba2', 'rwkv7', 'falcon-h1'].includes(read.architecture)) return 'all';
  const interval = read.positive('full_attention_interval');
  const listed = read.list('attention.head_count_kv');
  if (listed?.includes(0) === true) return 'without-kv-heads';
  // Qwen's loaders take every fourth layer for a full one when the header has neither a list nor an interval.
  return { fullAttentionEvery: interval ?? 4 };
}

function biases(read: HeaderReader): ShapeFields['biases'] {
  const named = {
    'attention-qkv': ['attn_q.bias', 'attn_qkv.bias'],
    'attention-output': ['attn_output.bias'],
    'feed-forward': ['ffn_up.bias'],
    router: ['ffn_gate_inp.bias'],
    experts: ['ffn_up_exps.bias'],
  } as const;
  const found = new Set(
    Object.entries(named).flatMap(([kind, names]) =>
      names.some((name) => read.layersWith(name).length > 0) ? [kind] : [],
    ),
  );
  const kinds = (['attention-qkv', 'attention-output', 'feed-forward', 'router', 'experts'] as const).filter(
    (kind) => found.has(kind),
  );
  return read.hasTensor('output.bias') ? [...kinds, 'output'] : kinds;
}
