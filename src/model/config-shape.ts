import { WINDOW_PERIODS } from './header-shape.ts';
import type { ShapeFields } from './shape.ts';

/** A config.json that cannot be turned into a shape; the message is one sentence for the user. */
export class ConfigShapeError extends Error {
  override readonly name = 'ConfigShapeError';
}

/** What differs between architectures in what their configurations leave unsaid. */
interface Family {
  /** `general.architecture` of the file that llama.cpp's converter writes. */
  readonly architecture: string;
  /** The default of `tie_word_embeddings` in the configuration's class; absent: false. */
  readonly tied?: true;
  readonly biases?: ShapeFields['biases'];
  /** Biases where `attention_bias` is true. */
  readonly attentionBias?: ShapeFields['biases'];
  /** Scores of experts are corrected by a bias. */
  readonly scoreCorrection?: true;
}

const ALL_ATTENTION = ['attention-qkv', 'attention-output'] as const;
const QKV = ['attention-qkv'] as const;

/** By `model_type`: the converters of llama.cpp release v0.5.0 (conversion/), and the classes of Transformers. */
const FAMILIES: Readonly<Record<string, Family>> = {
  cohere: { architecture: 'command-r', tied: true },
  cohere2: { architecture: 'cohere2', tied: true },
  deepseek_v2: { architecture: 'deepseek2' },
  deepseek_v3: { architecture: 'deepseek2', scoreCorrection: true },
  gemma: { architecture: 'gemma', tied: true },
  gemma2: { architecture: 'gemma2', tied: true },
  gemma3: { architecture: 'gemma3', tied: true },
  gemma3_text: { architecture: 'gemma3', tied: true },
  glm4: { architecture: 'glm4', attentionBias: [...QKV] },
  glm4_moe: { architecture: 'glm4moe', attentionBias: [...QKV], scoreCorrection: true },
  glm4_moe_lite: { architecture: 'deepseek2', scoreCorrection: true },
  gpt_oss: { architecture: 'gpt-oss', biases: [...ALL_ATTENTION, 'router', 'experts'] },
  granite: { architecture: 'granite' },
  kimi_k2: { architecture: 'deepseek2', scoreCorrection: true },
  llama: { architecture: 'llama', attentionBias: [...ALL_ATTENTION] },
  ministral3: { architecture: 'mistral3' },
  mistral: { architecture: 'llama' },
  mixtral: { architecture: 'llama' },
  olmo2: { architecture: 'olmo2' },
  olmo3: { architecture: 'olmo2' },
  olmoe: { architecture: 'olmoe' },
  phi3: { architecture: 'phi3' },
  qwen2: { architecture: 'qwen2', biases: [...QKV] },
  qwen2_5_vl: { architecture: 'qwen2vl', biases: [...QKV] },
  qwen3: { architecture: 'qwen3' },
  qwen3_5: { architecture: 'qwen35' },
  qwen3_5_moe: { architecture: 'qwen35moe' },
  qwen3_moe: { architecture: 'qwen3moe' },
  qwen3_next: { architecture: 'qwen3next' },
  qwen3_vl: { architecture: 'qwen3vl' },
  qwen3_vl_moe: { architecture: 'qwen3vlmoe' },
  seed_oss: { architecture: 'seed_oss', biases: [...QKV] },
  smollm3: { architecture: 'smollm3', tied: true },
};

/** The `model_type`s that can be read. */
export const CONFIG_MODEL_TYPES: readonly string[] = Object.keys(FAMILIES);

type Values = Readonly<Record<string, unknown>>;

const isValues = (value: unknown): value is Values =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Typed look-ups in a configuration: of the language model, or where it is silent of the whole. */
class ConfigReader {
  readonly #parts: readonly Values[];
  readonly #label: string;

  constructor(config: Values, label: string) {
    this.#parts = isValues(config['text_config']) ? [config['text_config'], config] : [config];
    this.#label = label;
  }

  #find(names: readonly string[]): unknown {
    for (const part of this.#parts) {
      for (const name of names) if (part[name] !== undefined && part[name] !== null) return part[name];
    }
    return undefined;
  }

  /** The first of the names that has a number. */
  number(...names: string[]): number | undefined {
    const value = this.#find(names);
    return typeof value === 'number' ? value : undefined;
  }

  positive(...names: string[]): number | undefined {
    const value = this.number(...names);
    return value !== undefined && value > 0 ? value : undefined;
  }

  required(...names: string[]): number {
    const value = this.number(...names);
    if (value !== undefined && Number.isInteger(value) && value > 0) return value;
    if (value !== undefined) {
      throw new ConfigShapeError(
        `${this.#label} has ${names.join(' or ')} ${value}, where its model needs a whole number above 0.`,
      );
    }
    throw new ConfigShapeError(`${this.#label} has no number ${names.join(' or ')}, which its model needs.`);
  }

  flag(name: string): boolean | undefined {
    const value = this.#find([name]);
    return typeof value === 'boolean' ? value : undefined;
  }

  text(name: string): string | undefined {
    const value = this.#find([name]);
    return typeof value === 'string' ? value : undefined;
  }

  values(...names: string[]): Values | undefined {
    const value = this.#find(names);
    return isValues(value) ? value : undefined;
  }

  list(name: string): readonly unknown[] | undefined {
    const value = this.#find([name]);
    return Array.isArray(value) ? value : undefined;
  }
}

/**
 * Reads the shape of a model from its config.json on the Hugging Face hub.
 * @param label - how errors name the file.
 * @throws ConfigShapeError when the kind of model is not known, or the file does not say enough.
 */
export function shapeFieldsOfConfig(config: unknown, id: string, label: string): ShapeFields {
  if (!isValues(config)) throw new ConfigShapeError(`${label} is not the configuration of a model.`);
  const type = typeof config['model_type'] === 'string' ? config['model_type'] : '';
  const family = FAMILIES[type];
  if (family === undefined) {
    throw new ConfigShapeError(
      `${label} is of the model_type '${type}', which cannot be read from a config.json; give a GGUF file of the model.`,
    );
  }
  const read = new ConfigReader(config, label);
  const heads = read.required('num_attention_heads');
  const embeddingLength = read.required('hidden_size');
  const headLength = read.positive('head_dim') ?? Math.floor(embeddingLength / heads);
  const latent = latentAttention(read);
  return {
    id,
    architecture: family.architecture,
    layers: read.required('num_hidden_layers'),
    embeddingLength,
    feedForwardLength: read.number('intermediate_size') ?? 0,
    heads,
    kvHeads: latent === undefined ? (read.positive('num_key_value_heads') ?? heads) : 1,
    keyHeadLength: latent === undefined ? headLength : latent.kvRank + latent.ropeHeadLength,
    valueHeadLength: latent === undefined ? headLength : latent.kvRank,
    vocabularySize: read.required('vocab_size'),
    contextLength: read.required('max_position_embeddings'),
    rope: rope(read, headLength),
    normEpsilon: read.positive('rms_norm_eps', 'layer_norm_eps', 'layer_norm_epsilon', 'norm_epsilon'),
    tiedEmbeddings: read.flag('tie_word_embeddings') ?? family.tied === true,
    slidingWindow: slidingWindow(read, family.architecture),
    latentAttention: latent,
    recurrent: recurrent(read),
    experts: experts(read, family),
    queryKeyNorms: family.architecture === 'glm4moe' ? (read.flag('use_qk_norm') ?? false) : undefined,
    mtpLayers: read.positive('num_nextn_predict_layers', 'mtp_num_hidden_layers'),
    biases: [
      ...(family.biases ?? []),
      ...(read.flag('attention_bias') === true ? (family.attentionBias ?? []) : []),
    ],
  };
}

function latentAttention(read: ConfigReader): ShapeFields['latentAttention'] {
  const kvRank = read.positive('kv_lora_rank');
  if (kvRank === undefined) return undefined;
  const ropeHeadLength = read.required('qk_rope_head_dim');
  return {
    kvRank,
    queryRank: read.positive('q_lora_rank'),
    ropeHeadLength,
    keyHeadLength: read.required('qk_nope_head_dim') + ropeHeadLength,
    valueHeadLength: read.required('v_head_dim'),
  };
}

type Scaling = NonNullable<NonNullable<ShapeFields['rope']>['scaling']>;

function rope(read: ConfigReader, headLength: number): ShapeFields['rope'] {
  const parameters = read.values('rope_parameters', 'rope_scaling') ?? {};
  const number = (name: string): number | undefined => {
    const value = parameters[name];
    return typeof value === 'number' && value > 0 ? value : undefined;
  };
  const partial = read.positive('partial_rotary_factor') ?? number('partial_rotary_factor') ?? 1;
  return {
    base: read.positive('rope_theta') ?? number('rope_theta'),
    dimensions: partial === 1 ? undefined : Math.floor(partial * headLength),
    scaling: ropeScaling(parameters, number),
  };
}

function ropeScaling(parameters: Values, number: (name: string) => number | undefined): Scaling | undefined {
  const type = parameters['rope_type'] ?? parameters['type'];
  const factor = number('factor');
  const originalContextLength = number('original_max_position_embeddings');
  if (type === 'longrope') return { kind: 'longrope', originalContextLength };
  if (factor === undefined) return undefined;
  if (type === 'linear') return { kind: 'linear', factor };
  if (originalContextLength === undefined) return undefined;
  if (type === 'yarn') {
    return {
      kind: 'yarn',
      factor,
      originalContextLength,
      betaFast: number('beta_fast'),
      betaSlow: number('beta_slow'),
    };
  }
  const lowFrequencyFactor = number('low_freq_factor');
  const highFrequencyFactor = number('high_freq_factor');
  return type === 'llama3' && lowFrequencyFactor !== undefined && highFrequencyFactor !== undefined
    ? { kind: 'llama3', factor, lowFrequencyFactor, highFrequencyFactor, originalContextLength }
    : undefined;
}

/** Only architectures whose windows the engine knows: others publish a window that it ignores. */
function slidingWindow(read: ConfigReader, architecture: string): ShapeFields['slidingWindow'] {
  const size = read.positive('sliding_window');
  const known = WINDOW_PERIODS[architecture];
  const types = read.list('layer_types');
  if (size === undefined || known === undefined || types?.includes('sliding_attention') === false) {
    return undefined;
  }
  const period = read.positive('sliding_window_pattern') ?? known.period;
  const follows = types?.every(
    (type, layer) => (type === 'sliding_attention') === (layer % period !== period - 1),
  );
  if (types === undefined || follows === true) return { size, period };
  return { size, layers: types.map((type) => (type === 'sliding_attention' ? 1 : 0)) };
}

/** The gated delta nets of Qwen3-Next and its followers. */
function recurrent(read: ConfigReader): ShapeFields['recurrent'] {
  const convWidth = read.positive('linear_conv_kernel_dim');
  if (convWidth === undefined) return undefined;
  const heads = read.required('linear_num_value_heads');
  return {
    kind: 'gated-delta-net',
    layers: { fullAttentionEvery: read.positive('full_attention_interval') ?? 4 },
    convWidth,
    innerLength: heads * read.required('linear_value_head_dim'),
    stateLength: read.required('linear_key_head_dim'),
    groups: read.required('linear_num_key_heads'),
    heads,
  };
}

function experts(read: ConfigReader, family: Family): ShapeFields['experts'] {
  const count = read.positive('n_routed_experts', 'num_experts', 'num_local_experts');
  if (count === undefined) return undefined;
  const feedForwardLength = read.required('moe_intermediate_size', 'intermediate_size');
  const groups = read.positive('n_group') ?? 1;
  return {
    count,
    used: read.required('num_experts_per_tok', 'experts_per_token'),
    feedForwardLength,
    shared: sharedExperts(read, feedForwardLength),
    leadingDenseLayers: read.positive('first_k_dense_replace'),
    scoreCorrection: family.scoreCorrection,
    groups: groups > 1 ? { count: groups, used: read.required('topk_group') } : undefined,
  };
}

function sharedExperts(read: ConfigReader, width: number): NonNullable<ShapeFields['experts']>['shared'] {
  const length = read.positive('shared_expert_intermediate_size');
  const count = read.positive('n_shared_experts') ?? (length === undefined ? undefined : 1);
  return count === undefined ? undefined : { count, feedForwardLength: length ?? count * width };
}
