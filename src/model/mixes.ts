import type { GgmlTypeName } from './ggml-types.ts';
import type { TensorCategory } from './quantisation/categories.ts';

/** What a rule may ask about a tensor and its model; `index` and `count` as `layer_info` gives them. */
export interface RuleInput {
  /** The layer, or the number of tensors of the kind before this one. */
  readonly index: number;
  readonly count: number;
  /** Query heads for each KV head of the first layer; 0 when it has none. */
  readonly groupedQueries: number;
  /** 0 for a dense model. */
  readonly experts: number;
  readonly importanceMatrix: boolean;
  readonly falcon: boolean;
}

type Condition = (input: RuleInput) => boolean;

/** A rule of a mix: the first that matches gives the type; without one the base stays. */
interface MixRule {
  readonly when?: Condition;
  readonly type: GgmlTypeName;
}

export type RuledCategory = Exclude<TensorCategory, 'output' | 'token-embedding' | 'other'>;

type MixRules = Partial<Record<RuledCategory, readonly MixRule[]>>;

interface Mix {
  /** `enum llama_ftype`, include/llama.h: what llama.cpp calls the file. */
  readonly fileType: number;
  /** `llama_ftype_get_default_type`: the type of every weight that no rule covers. */
  readonly base: GgmlTypeName;
  /** Of the head, and of an embedding that is the head as well; absent: Q6_K. */
  readonly head?: GgmlTypeName;
  /** Of an embedding that is not the head; absent: the base. */
  readonly embedding?: GgmlTypeName;
  /** llama-quantize refuses to make it without an importance matrix. */
  readonly needsMatrix?: true;
  /** The mixes below three bits: they count down-projections one by one and have no exceptions after their rules. */
  readonly lowBit?: true;
  /** Of the attention's output when there are exactly eight experts. */
  readonly outputOfEight?: GgmlTypeName;
  readonly rules?: MixRules;
}

const firstShare =
  (parts: number): Condition =>
  ({ index, count }) =>
    index < Math.floor(count / parts);
const firstEighth = firstShare(8);
const firstSixteenth = firstShare(16);

/** `use_more_bits`: the first and last eighth, and every third between. */
const usesMoreBits: Condition = ({ index, count }) => {
  const eighth = Math.floor(count / 8);
  return index < eighth || index >= Math.floor((7 * count) / 8) || (index - eighth) % 3 === 2;
};
const inTheMiddle: Condition = ({ index, count }) =>
  index >= Math.floor(count / 8) && index < Math.floor((7 * count) / 8);
const firstTensors =
  (tensors: number): Condition =>
  ({ index }) =>
    index < tensors;

const isGrouped: Condition = ({ groupedQueries }) => groupedQueries >= 4;
const hasEightExperts: Condition = ({ experts }) => experts === 8;
const hasMatrix: Condition = ({ importanceMatrix }) => importanceMatrix;
const isFalcon: Condition = ({ falcon }) => falcon;
const not =
  (condition: Condition): Condition =>
  (input) =>
    !condition(input);
const all =
  (...conditions: readonly Condition[]): Condition =>
  (input) =>
    conditions.every((condition) => condition(input));
const any =
  (...conditions: readonly Condition[]): Condition =>
  (input) =>
    conditions.some((condition) => condition(input));

/** Rules of the mixes below three bits, with `raised` for tensors that matter. */
const lowBitRules = (raised: GgmlTypeName, output: GgmlTypeName | null): MixRules => ({
  'attention-v': [{ when: any(isGrouped, ({ experts }) => experts >= 4), type: 'Q4_K' }, { type: raised }],
  'attention-k': [{ when: hasEightExperts, type: 'Q4_K' }],
  'feed-forward-down': [{ when: firstEighth, type: raised }],
  'attention-output': [
    { when: hasEightExperts, type: 'Q5_K' },
    ...(output === null ? [] : [{ type: output }]),
  ],
});

/** Falcon keeps the base type in its attention output, with one exception. */
const outputUnlessFalcon = (type: GgmlTypeName): readonly MixRule[] => [{ when: not(isFalcon), type }];
const FOUR_BIT_IQ: MixRules = {
  'attention-v': [{ when: isGrouped, type: 'Q5_K' }],
  'feed-forward-down': [{ when: all(firstEighth, not(hasMatrix)), type: 'Q5_K' }],
};
/** An importance matrix makes the first down-projections of these fragile. */
const withMatrix = (type: GgmlTypeName): MixRules => ({
  'feed-forward-down': [{ when: all(hasMatrix, firstEighth), type }],
});

/**
 * The mixes of llama-quantize: `llama_ftype_get_default_type` and `llama_tensor_get_type_impl`, src/llama-quant.cpp of
 * llama.cpp release v0.5.0. The usual one comes first.
 */
const MIXES = {
  Q4_K_M: {
    fileType: 15,
    base: 'Q4_K',
    outputOfEight: 'Q5_K',
    rules: {
      'attention-v': [{ when: usesMoreBits, type: 'Q6_K' }],
      'feed-forward-down': [
        { when: all(isFalcon, firstSixteenth), type: 'Q6_K' },
        { when: all(isFalcon, usesMoreBits), type: 'Q5_K' },
        { when: all(not(isFalcon), usesMoreBits), type: 'Q6_K' },
      ],
    },
  },
  Q4_K_S: {
    fileType: 14,
    base: 'Q4_K',
    outputOfEight: 'Q5_K',
    rules: {
      'attention-v': [{ when: firstTensors(4), type: 'Q5_K' }],
      'feed-forward-down': [{ when: all(not(isFalcon), firstEighth), type: 'Q5_K' }],
    },
  },
  Q4_0: { fileType: 2, base: 'Q4_0', rules: withMatrix('Q4_1') },
  Q4_1: { fileType: 3, base: 'Q4_1' },
  Q5_0: { fileType: 8, base: 'Q5_0', rules: withMatrix('Q5_1') },
  Q5_1: { fileType: 9, base: 'Q5_1' },
  Q5_K_S: { fileType: 16, base: 'Q5_K' },
  Q5_K_M: {
    fileType: 17,
    base: 'Q5_K',
    rules: {
      'attention-v': [{ when: usesMoreBits, type: 'Q6_K' }],
      'feed-forward-down': [{ when: usesMoreBits, type: 'Q6_K' }],
    },
  },
  Q6_K: { fileType: 18, base: 'Q6_K' },
  Q8_0: { fileType: 7, base: 'Q8_0', head: 'Q8_0' },
  Q2_K: {
    fileType: 10,
    base: 'Q2_K',
    outputOfEight: 'Q5_K',
    rules: {
      'attention-v': [{ when: isGrouped, type: 'Q4_K' }, { type: 'Q3_K' }],
      'feed-forward-down': [{ type: 'Q3_K' }],
      'attention-output': outputUnlessFalcon('Q3_K'),
    },
  },
  Q2_K_S: {
    fileType: 21,
    base: 'Q2_K',
    needsMatrix: true,
    rules: {
      'attention-v': [{ when: isGrouped, type: 'Q4_K' }],
      'feed-forward-down': [{ when: firstEighth, type: 'Q4_K' }],
    },
  },
  Q3_K_S: { fileType: 11, base: 'Q3_K', outputOfEight: 'Q5_K' },
  Q3_K_M: {
    fileType: 12,
    base: 'Q3_K',
    outputOfEight: 'Q5_K',
    rules: {
      'attention-v': [{ when: firstTensors(2), type: 'Q5_K' }, { type: 'Q4_K' }],
      'feed-forward-down': [
        { when: firstSixteenth, type: 'Q5_K' },
        { when: any(not(isFalcon), usesMoreBits), type: 'Q4_K' },
      ],
      'attention-output': outputUnlessFalcon('Q4_K'),
    },
  },
  Q3_K_L: {
    fileType: 13,
    base: 'Q3_K',
    // Of eight experts no exception is made: the base stays.
    outputOfEight: 'Q3_K',
    rules: {
      'attention-v': [{ type: 'Q5_K' }],
      'feed-forward-down': [{ when: isFalcon, type: 'Q4_K' }, { type: 'Q5_K' }],
      'attention-output': [{ when: isFalcon, type: 'Q4_K' }, { type: 'Q5_K' }],
    },
  },
  IQ4_XS: { fileType: 30, base: 'IQ4_XS', outputOfEight: 'Q5_K', rules: FOUR_BIT_IQ },
  IQ4_NL: { fileType: 25, base: 'IQ4_NL', outputOfEight: 'Q5_K', rules: FOUR_BIT_IQ },
  IQ3_M: {
    fileType: 27,
    base: 'IQ3_S',
    outputOfEight: 'Q5_K',
    rules: {
      'attention-v': [{ type: 'Q4_K' }],
      'feed-forward-down': [{ when: any(firstEighth, all(hasEightExperts, usesMoreBits)), type: 'Q4_K' }],
      'attention-output': outputUnlessFalcon('Q4_K'),
    },
  },
  IQ3_S: {
    fileType: 26,
    base: 'IQ3_S',
    outputOfEight: 'Q5_K',
    rules: { 'attention-v': [{ when: isGrouped, type: 'Q4_K' }] },
  },
  IQ3_XS: {
    fileType: 22,
    base: 'IQ3_S',
    outputOfEight: 'Q5_K',
    // Of queries and keys, the type that needs a matrix.
    needsMatrix: true,
    rules: {
      'attention-v': [{ when: isGrouped, type: 'Q4_K' }],
      'attention-k': [{ type: 'IQ3_XXS' }],
      'attention-q': [{ type: 'IQ3_XXS' }],
      'feed-forward-gate': [{ when: inTheMiddle, type: 'IQ3_XXS' }],
      'feed-forward-up': [{ when: inTheMiddle, type: 'IQ3_XXS' }],
    },
  },
  IQ3_XXS: {
    fileType: 23,
    base: 'IQ3_XXS',
    head: 'Q5_K',
    embedding: 'IQ3_S',
    needsMatrix: true,
    outputOfEight: 'Q5_K',
    rules: {
      'attention-v': [
        { when: isGrouped, type: 'Q4_K' },
        { when: not(hasMatrix), type: 'IQ3_S' },
        { type: 'IQ3_XXS' },
      ],
      'attention-k': [{ type: 'IQ2_S' }],
      'attention-q': [{ type: 'IQ2_S' }],
      'feed-forward-down': [
        { when: all(not(hasMatrix), firstEighth), type: 'Q4_K' },
        { when: not(hasMatrix), type: 'Q3_K' },
      ],
      'attention-output': outputUnlessFalcon('IQ3_S'),
    },
  },
  IQ2_M: {
    fileType: 29,
    base: 'IQ2_S',
    head: 'Q5_K',
    embedding: 'IQ3_S',
    needsMatrix: true,
    lowBit: true,
    rules: lowBitRules('IQ3_S', 'IQ3_S'),
  },
  IQ2_S: {
    fileType: 28,
    base: 'IQ2_XS',
    head: 'Q5_K',
    embedding: 'IQ3_S',
    needsMatrix: true,
    lowBit: true,
    rules: lowBitRules('IQ3_S', 'IQ3_S'),
  },
  IQ2_XS: {
    fileType: 20,
    base: 'IQ2_XS',
    head: 'Q5_K',
    embedding: 'Q2_K',
    needsMatrix: true,
    lowBit: true,
    rules: lowBitRules('Q2_K', null),
  },
  IQ2_XXS: {
    fileType: 19,
    base: 'IQ2_XXS',
    head: 'Q5_K',
    embedding: 'Q2_K',
    needsMatrix: true,
    lowBit: true,
    rules: lowBitRules('Q2_K', null),
  },
  IQ1_M: {
    fileType: 31,
    base: 'IQ1_M',
    head: 'Q5_K',
    embedding: 'Q2_K',
    needsMatrix: true,
    lowBit: true,
    rules: lowBitRules('Q2_K', 'IQ2_XXS'),
  },
  IQ1_S: {
    fileType: 24,
    base: 'IQ1_S',
    head: 'Q5_K',
    embedding: 'Q2_K',
    needsMatrix: true,
    lowBit: true,
    rules: lowBitRules('Q2_K', 'IQ2_XXS'),
  },
  TQ1_0: { fileType: 36, base: 'TQ1_0', embedding: 'Q4_K' },
  TQ2_0: { fileType: 37, base: 'TQ2_0', embedding: 'Q4_K' },
  Q2_0: { fileType: 41, base: 'Q2_0', embedding: 'Q4_K' },
  /** llama-quantize calls it MXFP4_MOE. */
  MXFP4: { fileType: 38, base: 'MXFP4', head: 'Q8_0' },
  F16: { fileType: 1, base: 'F16' },
  BF16: { fileType: 32, base: 'BF16' },
  F32: { fileType: 0, base: 'F32' },
} as const satisfies Record<string, Mix>;

export type MixName = keyof typeof MIXES;

/** Every mix that can be synthesised, the usual one first. */
export const MIX_NAMES = Object.keys(MIXES) as readonly MixName[];

export function mixOf(name: MixName): Mix {
  return MIXES[name];
}

export function isMixName(name: string): name is MixName {
  return Object.hasOwn(MIXES, name);
}

/** The number of `general.file_type`, from which llama.cpp makes its label ("Q4_K - Medium"). */
export function fileTypeOf(mix: MixName): number {
  return MIXES[mix].fileType;
}

/** The mix that a file's `general.file_type` names; null when it is none of those known here. */
export function mixOfFileType(fileType: number): MixName | null {
  return MIX_NAMES.find((name) => MIXES[name].fileType === fileType) ?? null;
}
