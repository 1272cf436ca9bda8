/**
 * Types that llama-bench accepts for the KV cache, with ggml's number of each (llama-bench.cpp ggml_type_from_name,
 * ggml.h enum ggml_type, release 0.5.0).
 */
export const CACHE_TYPES = {
  f16: 1,
  bf16: 30,
  q8_0: 8,
  q4_0: 2,
  q4_1: 3,
  q5_0: 6,
  q5_1: 7,
  iq4_nl: 20,
} as const;

export type CacheType = keyof typeof CACHE_TYPES;

export const isCacheType = (text: string): text is CacheType => Object.hasOwn(CACHE_TYPES, text);
