import {
  bytesPerWeight,
  elementCount,
  GGML_TYPES,
  rowFits,
  type Dimensions,
  type GgmlTypeName,
} from '../ggml-types.ts';
import type { ModelShape } from '../shape.ts';
import {
  categoryOf,
  dimensionCount,
  isQuantisedName,
  isSinglePrecisionName,
  type TensorCategory,
} from './categories.ts';
import { mixOf, type MixName, type RuledCategory, type RuleInput } from '../mixes.ts';

/** A tensor of the whole model, as the quantiser of llama.cpp sees it. */
interface NamedTensor {
  readonly name: string;
  readonly dims: Dimensions;
}

/** The same with its name divided. */
interface PlacedTensor {
  /** null: of the model as a whole. */
  readonly layer: number | null;
  /** What follows `blk.N.`, or the whole name. */
  readonly part: string;
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
  return new TensorTyping(tensors.map(placed), facts).typesIn(mixName);
}

const LAYER = /^blk\.(\d+)\./;

function placed({ name, dims }: NamedTensor): PlacedTensor {
  const prefix = LAYER.exec(name);
  return prefix === null
    ? { layer: null, part: name, dims }
    : { layer: Number(prefix[1]), part: name.slice(prefix[0].length), dims };
}

/** What the rules ask about one tensor, whatever the mix. */
interface RuledTensor {
  readonly dims: Dimensions;
  /** -1: of the model as a whole. */
  readonly layer: number;
  readonly part: string;
  readonly category: TensorCategory;
  readonly isQuantised: boolean;
  /** The type that it has in every mix; null: the mix decides. */
  readonly fixedType: GgmlTypeName | null;
  /** Its type where the mix does not quantise it; null: that of the converted file. */
  readonly keptType: GgmlTypeName | null;
}

/** Tensors that a mix without a rule for their category gives one type, by their places. */
interface AlikeTensors {
  readonly sample: RuledTensor;
  readonly places: number[];
  /** Of all of them. */
  weights: number;
}

/** The tensors of a model, looked at once to be given the types of any number of mixes. */
export class TensorTyping {
  readonly #facts: QuantisationFacts;
  readonly #tensors: readonly RuledTensor[];
  readonly #alike: readonly AlikeTensors[];
  /** How many quantised tensors of its category the engine sees before each. */
  readonly #seen: Float64Array;
  readonly #valueTensors: number;
  readonly #isTied: boolean;

  constructor(tensors: readonly PlacedTensor[], facts: QuantisationFacts) {
    this.#facts = facts;
    const names = new NameRules(facts);
    this.#tensors = tensors.map((tensor, place) => names.ruled(tensor, place));
    this.#alike = names.alike;
    this.#seen = seenBefore(this.#tensors);
    this.#valueTensors = this.#tensors.filter(({ category }) => category === 'attention-v').length;
    this.#isTied = !this.#tensors.some(({ category }) => category === 'output');
  }

  /** The types in a mix, in the order of the tensors. */
  typesIn(mixName: MixName): GgmlTypeName[] {
    const types = Array<GgmlTypeName>(this.#tensors.length);
    this.#forEachType(mixName, (type, places) => {
      for (const place of places) types[place] = type;
    });
    return types;
  }

  /** The bytes of all tensors in a mix. */
  bytesIn(mixName: MixName): number {
    let size = 0;
    this.#forEachType(mixName, (type, _, weights) => {
      size += weights * bytesPerWeight(type);
    });
    return size;
  }

  /** @param use - is told a type, the places of tensors that have it, and how many weights those have in all. */
  #forEachType(
    mixName: MixName,
    use: (type: GgmlTypeName, places: readonly number[], weights: number) => void,
  ): void {
    const { base } = mixOf(mixName);
    const isKept = UNQUANTISED.has(base);
    const converted = isKept ? base : CONVERTED_TYPE;
    const quantiser = new Quantiser(mixName, this.#facts, this.#valueTensors, this.#isTied);
    for (const { sample, places, weights } of this.#alike) {
      const { fixedType, keptType, isQuantised } = sample;
      if (fixedType !== null || isKept || !isQuantised) {
        use(fixedType ?? keptType ?? converted, places, weights);
      } else if (!quantiser.tellsApart(sample)) {
        use(quantiser.typeOf(sample, 0), places, weights);
      } else {
        for (const place of places) {
          const tensor = this.#tensors[place] ?? sample;
          use(quantiser.typeOf(tensor, this.#seen[place] ?? 0), [place], elementCount(tensor.dims));
        }
      }
    }
  }
}

/**
 * How many tensors of its category the engine sees before each, in its order: by layer, then by name
 * (`weight_name_comparer`, src/llama-model-loader.h). Those of a fixed type are counted as well: the engine asks its
 * rules before it looks at the type.
 */
function seenBefore(tensors: readonly RuledTensor[]): Float64Array {
  const places = new Map<TensorCategory, number[]>();
  tensors.forEach(({ category, isQuantised }, place) => {
    if (!isQuantised || category === 'other') return;
    const others = places.get(category);
    if (others === undefined) places.set(category, [place]);
    else others.push(place);
  });
  const seen = new Float64Array(tensors.length);
  for (const each of places.values()) {
    each.sort((a, b) => compareNames(tensors[a], tensors[b]));
    for (let before = 0; before < each.length; before += 1) seen[each[before] ?? 0] = before;
  }
  return seen;
}

function compareNames(a: RuledTensor | undefined, b: RuledTensor | undefined): number {
  if (a === undefined || b === undefined) return 0;
  if (a.layer !== b.layer) return a.layer - b.layer;
  return a.part < b.part ? -1 : Number(a.part > b.part);
}

/** Judges names by what follows the layer, once for each: layers have tensors of the same names. */
class NameRules {
  readonly #facts: QuantisationFacts;
  /** Of layers, and of the model as a whole. */
  readonly #known = [new Map<string, RulesOfName>(), new Map<string, RulesOfName>()] as const;
  readonly alike: AlikeTensors[] = [];

  constructor(facts: QuantisationFacts) {
    this.#facts = facts;
  }

  ruled({ layer, part, dims }: PlacedTensor, place: number): RuledTensor {
    const names = layer === null ? this.#known[1] : this.#known[0];
    let known = names.get(part);
    if (known === undefined) {
      // The dot stays: rules look for parts that begin with one.
      known = this.#judge(layer === null ? part : `.${part}`);
      names.set(part, known);
    }
    const count = dimensionCount(dims);
    const tensor = {
      dims,
      layer: layer ?? -1,
      part,
      category: known.category,
      isQuantised: known.isQuantised && count >= 2,
      fixedType: known.fixedType,
      keptType: known.isTable ? 'I32' : known.isSinglePrecision || count < 2 ? 'F32' : null,
    } as const;
    const others = known.alike.find(({ sample }) => isAlike(sample, tensor));
    if (others === undefined) {
      const first = { sample: tensor, places: [place], weights: elementCount(dims) };
      known.alike.push(first);
      this.alike.push(first);
    } else {
      others.places.push(place);
      others.weights += elementCount(dims);
    }
    return tensor;
  }

  #judge(part: string): RulesOfName {
    return {
      category: categoryOf(part),
      fixedType: EXPERT_WEIGHTS.test(part) ? this.#facts.nativeExpertType : null,
      isQuantised: isQuantisedName(part),
      isTable: part.includes(EXPERT_TABLE),
      isSinglePrecision: isSinglePrecisionName(part, this.#facts.architecture),
      alike: [],
    };
  }
}

interface RulesOfName extends Pick<RuledTensor, 'category' | 'fixedType'> {
  readonly isQuantised: boolean;
  readonly isTable: boolean;
  readonly isSinglePrecision: boolean;
  /** The tensors of this name, by the lengths that types depend on. */
  readonly alike: AlikeTensors[];
}

/** Whether a mix can tell two tensors of the same name apart only by their layers. */
const isAlike = (a: RuledTensor, b: RuledTensor): boolean =>
  a.dims[0] === b.dims[0] &&
  a.dims[2] === b.dims[2] &&
  a.isQuantised === b.isQuantised &&
  a.keptType === b.keptType;

/** Experts by the token's id (DeepSeek V4): indices, no weights. */
const EXPERT_TABLE = 'ffn_gate_tid2eid';
const EXPERT_WEIGHTS = /\.ffn_(?:gate|up|down|gate_up)_exps\.weight$/;
/** `llama_tensor_get_type_impl`, src/llama-quant.cpp, release v0.5.0. */
class Quantiser {
  private readonly mixName: MixName;
  private readonly facts: QuantisationFacts;
  private readonly valueTensors: number;
  private readonly isTied: boolean;

  constructor(mixName: MixName, facts: QuantisationFacts, valueTensors: number, isTied: boolean) {
    this.mixName = mixName;
    this.facts = facts;
    this.valueTensors = valueTensors;
    this.isTied = isTied;
  }

  /** Whether tensors of this kind get types by their layer, or by how many came before. */
  tellsApart({ category }: RuledTensor): boolean {
    if (category === 'output' || category === 'token-embedding' || category === 'other') return false;
    return mixOf(this.mixName).rules?.[category] !== undefined;
  }

  /** @param seen - quantised tensors of the same category that come before it. */
  typeOf(tensor: RuledTensor, seen: number): GgmlTypeName {
    const rowLength = tensor.dims[0] ?? 1;
    return fitToRow(this.preferred(tensor, rowLength, seen), rowLength);
  }

  private preferred({ category, dims, layer }: RuledTensor, rowLength: number, seen: number): GgmlTypeName {
    const mix = mixOf(this.mixName);
    if (category === 'output' || (category === 'token-embedding' && this.isTied)) {
      return this.headType(rowLength);
    }
    if (mix.base === 'MXFP4') return this.mixtureType(category, dims);
    if (category === 'token-embedding') return mix.embedding ?? mix.base;
    if (category === 'other') return mix.base;
    const input = this.inputOf(layer, category, seen);
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

  private inputOf(layer: number, category: RuledCategory, seen: number): RuleInput {
    const { facts } = this;
    const mix = mixOf(this.mixName);
    // `layer_info`: layers of a mixture of experts are told by their names, since their tensors are several.
    const countsLayers = category.startsWith('feed-forward') && facts.experts > 1 && mix.lowBit !== true;
    return {
      index: countsLayers ? layer : seen,
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
