import { GGML_TYPES, rowFits, type Dimensions, type GgmlTypeName } from '../ggml-types.ts';
import type { ModelShape } from '../shape.ts';
import { categoryOf, isQuantised, isSinglePrecision, type TensorCategory } from './categories.ts';
import { mixOf, type MixName, type RuledCategory, type RuleInput } from '../mixes.ts';

/** A tensor of the whole model, as the quantiser of llama.cpp sees it. */
interface NamedTensor {
  readonly name: string;
  readonly dims: Dimensions;
}

/** What the rules of a mix ask about a model. */
interface QuantisationFacts {
  /** `general.architecture`. */
  readonly architecture: string;
  /** `block_count` of the file, layers that predict further tokens included. */
  readonly blockCount: number;
  /** 0 for a dense model. */
  readonly experts: number;
  /** Query heads for each KV head of layer 0, rounded down; 0 when the layer has no KV heads. */
  readonly groupedQueries: number;
  /** llama.cpp calls the model a 70B one, for which the mixes have a rule of their own. */
  readonly isSeventyB: boolean;
  /** The type in which the experts are published, whatever the mix of the file (gpt-oss); null: the mix decides. */
  readonly nativeExpertType: GgmlTypeName | null;
  /** null: as the mix is usually made, with an importance matrix only where it needs one. */
  readonly importanceMatrix: boolean | null;
}

/** The facts of a shape. @param blockCount - of the file; absent: its layers alone. */
export function quantisationFacts(
  shape: ModelShape,
  nativeExpertType: GgmlTypeName | null,
  blockCount: number = shape.layers,
): QuantisationFacts {
  return {
    architecture: shape.architecture,
    blockCount,
    experts: shape.experts?.count ?? 0,
    groupedQueries: groupedQueries(shape),
    isSeventyB: isSeventyB(shape),
    nativeExpertType,
    importanceMatrix: null,
  };
}

/** `llama_hparams::n_gqa` of layer 0; a header with one number of KV heads for all gives it to recurrent layers too. */
function groupedQueries({ heads, kvHeads, recurrent }: ModelShape): number {
  const hasOneNumber = recurrent !== null && recurrent.fullAttentionEvery !== null;
  const ofKeys = hasOneNumber ? Math.max(...kvHeads) : (kvHeads[0] ?? 0);
  const ofQueries = hasOneNumber ? Math.max(...heads) : (heads[0] ?? 0);
  return ofKeys === 0 ? 0 : Math.floor(ofQueries / ofKeys);
}

/** Layers with which `load_arch_hparams` of src/models/*.cpp says LLM_TYPE_70B. */
const SEVENTY_B_LAYERS: Readonly<Record<string, number>> = {
  llama: 80,
  qwen2: 80,
  deci: 80,
  olmo: 80,
  jais2: 68,
};

function isSeventyB({ architecture, layers, heads, kvHeads }: ModelShape): boolean {
  if (SEVENTY_B_LAYERS[architecture] !== layers) return false;
  return architecture !== 'llama' || heads[0] !== kvHeads[0];
}

const UNQUANTISED: ReadonlySet<GgmlTypeName> = new Set<GgmlTypeName>(['F32', 'F16', 'BF16']);
/** Matrices that are never quantised stay as the converter wrote them, in 16 bits. */
const CONVERTED_TYPE: GgmlTypeName = 'F16';

/**
 * The type of every tensor of a file of this mix, in the order of the input: what llama-quantize of release v0.5.0
 * would write. The tensors must be all those of the model, since rules count them.
 */
export function typesInMix(
  tensors: readonly NamedTensor[],
  mixName: MixName,
  facts: QuantisationFacts,
): GgmlTypeName[] {
  const { base } = mixOf(mixName);
  const converted = UNQUANTISED.has(base) ? base : CONVERTED_TYPE;
  const ruled = UNQUANTISED.has(base) ? null : ruledTypes(tensors, mixName, facts);
  return tensors.map((tensor) => {
    const { name, dims } = tensor;
    if (facts.nativeExpertType !== null && EXPERT_WEIGHTS.test(name)) return facts.nativeExpertType;
    const type = ruled?.get(tensor);
    if (type !== undefined) return type;
    if (name.includes(EXPERT_TABLE)) return 'I32';
    return isSinglePrecision(name, dims, facts.architecture) ? 'F32' : converted;
  });
}

/** The types of those tensors that are quantised, counted in the order of the engine. */
function ruledTypes(
  tensors: readonly NamedTensor[],
  mixName: MixName,
  facts: QuantisationFacts,
): Map<NamedTensor, GgmlTypeName> {
  const quantiser = new Quantiser(tensors, mixName, facts);
  const quantised = tensors.filter(({ name, dims }) => isQuantised(name, dims));
  return new Map(inEngineOrder(quantised).map((tensor) => [tensor, quantiser.typeOf(tensor)]));
}

/** Experts by the token's id (DeepSeek V4): indices, no weights. */
const EXPERT_TABLE = 'ffn_gate_tid2eid';
const EXPERT_WEIGHTS = /\.ffn_(?:gate|up|down|gate_up)_exps\.weight$/;
const LAYER = /^blk\.(\d+)\./;

function layerOf(name: string): number {
  const digits = LAYER.exec(name)?.[1];
  return digits === undefined ? -1 : Number(digits);
}

/** `weight_name_comparer`, src/llama-model-loader.h: by layer, then by name. */
function inEngineOrder(tensors: readonly NamedTensor[]): NamedTensor[] {
  return tensors
    .map((tensor) => ({ tensor, layer: layerOf(tensor.name) }))
    .sort((a, b) => a.layer - b.layer || (a.tensor.name < b.tensor.name ? -1 : 1))
    .map(({ tensor }) => tensor);
}

/** `llama_tensor_get_type_impl` with its counters, src/llama-quant.cpp, release v0.5.0. */
class Quantiser {
  private readonly mixName: MixName;
  private readonly facts: QuantisationFacts;
  private readonly valueTensors: number;
  private readonly isTied: boolean;
  /** Tensors of each category that were given a type. */
  private readonly seen = new Map<TensorCategory, number>();

  constructor(tensors: readonly NamedTensor[], mixName: MixName, facts: QuantisationFacts) {
    this.mixName = mixName;
    this.facts = facts;
    this.valueTensors = tensors.filter(({ name }) => categoryOf(name) === 'attention-v').length;
    this.isTied = !tensors.some(({ name }) => name === 'output.weight');
  }

  typeOf({ name, dims }: NamedTensor): GgmlTypeName {
    const rowLength = dims[0] ?? 1;
    return fitToRow(this.preferred(name, dims, rowLength), rowLength);
  }

  private preferred(name: string, dims: Dimensions, rowLength: number): GgmlTypeName {
    const mix = mixOf(this.mixName);
    const category = categoryOf(name);
    if (category === 'output' || (category === 'token-embedding' && this.isTied)) {
      return this.headType(rowLength);
    }
    if (mix.base === 'MXFP4') return this.mixtureType(category, dims);
    if (category === 'token-embedding') return mix.embedding ?? mix.base;
    if (category === 'other') return mix.base;
    const input = this.inputOf(name, category);
    const ruled = mix.rules?.[category]?.find(({ when }) => when?.(input) ?? true)?.type ?? mix.base;
    return mix.lowBit === true ? ruled : this.withExceptions(ruled, category);
  }

  private headType(rowLength: number): GgmlTypeName {
    const { base, head } = mixOf(this.mixName);
    if (base === 'MXFP4' || this.facts.architecture === 'falcon' || !rowFits(base, rowLength)) return 'Q8_0';
    return head ?? 'Q6_K';
  }

  /** MXFP4_MOE: experts in FP4, all else in Q8_0. */
  private mixtureType(category: TensorCategory, dims: Dimensions): GgmlTypeName {
    const isFeedForward = category.startsWith('feed-forward');
    const isExpert = (dims[2] ?? 1) > 1 && (this.facts.architecture !== 'bailingmoe3' || isFeedForward);
    return isExpert ? 'MXFP4' : 'Q8_0';
  }

  private inputOf(name: string, category: RuledCategory): RuleInput {
    const { facts } = this;
    const mix = mixOf(this.mixName);
    const running = this.seen.get(category) ?? 0;
    this.seen.set(category, running + 1);
    // `layer_info`: layers of a mixture of experts are told by their names, since their tensors are several.
    const countsLayers = category.startsWith('feed-forward') && facts.experts > 1 && mix.lowBit !== true;
    return {
      index: countsLayers ? layerOf(name) : running,
      count: category === 'attention-v' ? this.valueTensors : facts.blockCount,
      groupedQueries: facts.groupedQueries,
      experts: facts.experts,
      importanceMatrix: facts.importanceMatrix ?? mix.needsMatrix ?? false,
      falcon: facts.architecture === 'falcon',
    };
  }

  /** What is changed after the rules: small tensors of 70B models and of those with eight experts are spared. */
  private withExceptions(type: GgmlTypeName, category: RuledCategory): GgmlTypeName {
    const ofEight = this.facts.experts === EIGHT_EXPERTS;
    if (category === 'attention-v') {
      if (ofEight) return 'Q8_0';
      return this.facts.isSeventyB && (type === 'Q3_K' || type === 'Q4_K') ? 'Q5_K' : type;
    }
    if (category === 'attention-k' && ofEight) return 'Q8_0';
    if (category === 'attention-output' && ofEight && this.facts.architecture !== 'falcon') {
      return mixOf(this.mixName).outputOfEight ?? mixOf(this.mixName).base;
    }
    return type;
  }
}

/** Mixtral and Grok: the exceptions are for exactly this many. */
const EIGHT_EXPERTS = 8;

/** What a type becomes when a row is no whole number of its blocks: `tensor_type_fallback`. */
const SHAPE_FALLBACK: Partial<Record<GgmlTypeName, GgmlTypeName>> = {
  IQ1_S: 'IQ4_NL',
  IQ1_M: 'IQ4_NL',
  IQ2_XXS: 'IQ4_NL',
  IQ2_XS: 'IQ4_NL',
  IQ2_S: 'IQ4_NL',
  IQ3_XXS: 'IQ4_NL',
  IQ3_S: 'IQ4_NL',
  IQ4_XS: 'IQ4_NL',
  Q2_0: 'Q4_0',
  Q2_K: 'Q4_0',
  Q3_K: 'Q4_0',
  TQ1_0: 'Q4_0',
  TQ2_0: 'Q4_0',
  Q4_K: 'Q5_0',
  Q5_K: 'Q5_1',
  Q6_K: 'Q8_0',
};

function fitToRow(type: GgmlTypeName, rowLength: number): GgmlTypeName {
  if (rowFits(type, rowLength)) return type;
  const fallback = SHAPE_FALLBACK[type] ?? type;
  return rowLength % GGML_TYPES[fallback].blockSize === 0 ? fallback : 'F16';
}
