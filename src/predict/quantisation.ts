/** Bits of one weight, by the name that a file carries; the mix as a whole, embedding and head included. */
interface QuantisationFact {
  readonly bitsPerWeight: number;
  /** Formats whose kernels share their speed: the unit in which efficiencies are learned. */
  readonly group: QuantisationGroup;
}

export type QuantisationGroup =
  | 'float'
  | 'brain-float'
  | 'single'
  | 'eight'
  | 'six'
  | 'five'
  | 'four-k'
  | 'four-legacy'
  | 'three-k'
  | 'two-k'
  | 'four-lattice'
  | 'three-lattice'
  | 'two-lattice'
  | 'one-lattice'
  | 'ternary'
  | 'four-float';

/** Bits of the base formats: block bytes x 8 / block length, ggml-common.h, llama.cpp release v0.5.0. */
const HEAD_BITS = { six: 6.5625, eight: 8.5, five: 5.5 } as const;

const fact = (bitsPerWeight: number, group: QuantisationGroup): QuantisationFact => ({
  bitsPerWeight,
  group,
});

/**
 * Bits per weight of whole files. Of the plain formats: the block size (ggml-common.h). Of the mixes: the figures
 * that tools/quantize/quantize.cpp of llama.cpp prints for Llama 3.1 8B, and for the formats of ik_llama.cpp those
 * of its own quantize.cpp.
 */
const FACTS: Readonly<Record<string, QuantisationFact>> = {
  F32: fact(32, 'single'),
  F16: fact(16, 'float'),
  BF16: fact(16, 'brain-float'),
  Q8_0: fact(8.5, 'eight'),
  Q8_K: fact(8.5, 'eight'),
  Q8_K_XL: fact(9.8, 'eight'),
  Q6_K: fact(6.5625, 'six'),
  Q6_K_L: fact(6.7, 'six'),
  Q6_K_XL: fact(7, 'six'),
  Q5_0: fact(5.55, 'five'),
  Q5_1: fact(6, 'five'),
  Q5_K: fact(5.69, 'five'),
  Q5_K_S: fact(5.57, 'five'),
  Q5_K_M: fact(5.7, 'five'),
  Q5_K_L: fact(5.8, 'five'),
  Q5_K_XL: fact(5.7, 'five'),
  Q4_0: fact(4.66, 'four-legacy'),
  Q4_1: fact(5.1, 'four-legacy'),
  Q4_K: fact(4.89, 'four-k'),
  Q4_K_S: fact(4.67, 'four-k'),
  Q4_K_M: fact(4.89, 'four-k'),
  Q4_K_L: fact(5, 'four-k'),
  Q4_K_XL: fact(4.9, 'four-k'),
  Q3_K: fact(4, 'three-k'),
  Q3_K_S: fact(3.64, 'three-k'),
  Q3_K_M: fact(4, 'three-k'),
  Q3_K_L: fact(4.3, 'three-k'),
  Q3_K_XL: fact(3.6, 'three-k'),
  Q2_K: fact(3.16, 'two-k'),
  Q2_K_S: fact(2.97, 'two-k'),
  Q2_K_M: fact(3.16, 'two-k'),
  Q2_K_L: fact(3.3, 'two-k'),
  Q2_K_XL: fact(3.1, 'two-k'),
  IQ4_XS: fact(4.46, 'four-lattice'),
  IQ4_NL: fact(4.68, 'four-lattice'),
  IQ4_K: fact(4.6, 'four-lattice'),
  IQ4_KS: fact(4.35, 'four-lattice'),
  IQ4_KSS: fact(4.1, 'four-lattice'),
  IQ4_KT: fact(4.1, 'four-lattice'),
  IQ5_K: fact(5.6, 'five'),
  IQ5_KS: fact(5.35, 'five'),
  IQ6_K: fact(6.7, 'six'),
  IQ3_XXS: fact(3.25, 'three-lattice'),
  IQ3_XS: fact(3.5, 'three-lattice'),
  IQ3_S: fact(3.66, 'three-lattice'),
  IQ3_M: fact(3.76, 'three-lattice'),
  IQ3_K: fact(3.6, 'three-lattice'),
  IQ3_KS: fact(3.4, 'three-lattice'),
  IQ3_KT: fact(3.3, 'three-lattice'),
  IQ2_XXS: fact(2.38, 'two-lattice'),
  IQ2_XS: fact(2.59, 'two-lattice'),
  IQ2_S: fact(2.74, 'two-lattice'),
  IQ2_M: fact(2.93, 'two-lattice'),
  IQ2_K: fact(2.6, 'two-lattice'),
  IQ2_KS: fact(2.4, 'two-lattice'),
  IQ2_KL: fact(2.9, 'two-lattice'),
  IQ2_KT: fact(2.4, 'two-lattice'),
  IQ1_S: fact(2, 'one-lattice'),
  IQ1_M: fact(2.15, 'one-lattice'),
  IQ1_KT: fact(2, 'one-lattice'),
  IQ2_BN: fact(2.2, 'ternary'),
  IQ1_BN: fact(1.9, 'ternary'),
  I2_S: fact(2.2, 'ternary'),
  TQ1_0: fact(1.9, 'ternary'),
  TQ2_0: fact(2.3, 'ternary'),
  MXFP4: fact(4.4, 'four-float'),
  MXFP4_MOE: fact(4.6, 'four-float'),
  NVFP4: fact(4.6, 'four-float'),
};

/** What the name of a quantisation says about the weights of a file. */
export interface Quantisation {
  readonly name: string;
  readonly group: QuantisationGroup;
  /** Over the whole file. */
  readonly bitsPerWeight: number;
  /** Of the output head, and of the embedding table where both are one tensor. */
  readonly headBitsPerWeight: number;
}

/**
 * Reads the name of a quantisation as files carry it: `Q4_K_M`, `UD-Q4_K_XL`, `i1-IQ3_M`, `Q4_K - Medium`,
 * `IQ4_K_R4`. Null when no format is in it.
 */
export function parseQuantisation(text: string): Quantisation | null {
  const name = text
    .trim()
    .toUpperCase()
    .replace(/ - MEDIUM/, '_M')
    .replace(/ - SMALL/, '_S')
    .replace(/ - LARGE/, '_L')
    .replace(/ - .*$/, '')
    .replace(/^(?:UD|I1|DYNAMIC)[-_]/, '')
    .replace(/_R\d+$/, '')
    .replace(/ MOE$/, '');
  const known = Object.hasOwn(FACTS, name) ? FACTS[name] : undefined;
  if (known === undefined) return null;
  return { name, ...known, headBitsPerWeight: headBits(name, known) };
}

/** The head is `q6_K` in all mixes but those of `llama_tensor_get_type_impl`, src/llama-quant.cpp v0.5.0, that follow. */
function headBits(name: string, { bitsPerWeight, group }: QuantisationFact): number {
  if (bitsPerWeight >= HEAD_BITS.eight || group === 'four-float')
    return Math.max(HEAD_BITS.eight, bitsPerWeight);
  if (name.startsWith('IQ1') || name.startsWith('IQ2') || name === 'IQ3_XXS') return HEAD_BITS.five;
  return HEAD_BITS.six;
}

/** Bits of a value in the KV cache: block bytes x 8 / block length, ggml-common.h, llama.cpp release v0.5.0. */
const CACHE_BITS: Readonly<Record<string, number>> = {
  f32: 32,
  f16: 16,
  bf16: 16,
  q8_0: 8.5,
  q6_0: 6.5,
  q5_1: 6,
  q5_0: 5.5,
  q4_1: 5,
  q4_0: 4.5,
  iq4_nl: 4.5,
};

/** Bytes of one cached value; f16, llama.cpp's default, where the type is not named or not known. */
export function cacheBytesPerValue(type: string | null): number {
  return (CACHE_BITS[type?.toLowerCase() ?? 'f16'] ?? 16) / 8;
}
