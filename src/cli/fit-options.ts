/** The cache types that llama.cpp takes, as its flags spell them. */
export const CACHE_TYPES = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0', 'q4_1', 'iq4_nl', 'q5_0', 'q5_1'] as const;
type CacheTypeFlag = (typeof CACHE_TYPES)[number];

/** What was written on the command line; absent where nothing was. */
export interface FitFlags {
  readonly ctx?: number;
  readonly machine?: string;
  readonly exact?: boolean;
  readonly cacheTypeK: CacheTypeFlag;
  readonly cacheTypeV: CacheTypeFlag;
  readonly parallel: number;
  readonly unified?: boolean;
  readonly batchSize: number;
  readonly ubatchSize: number;
  readonly nGpuLayers: number;
  readonly nCpuMoe: number;
  /** Shares in which several GPUs get the layers. */
  readonly tensorSplit?: readonly number[];
  readonly flashAttn: 'on' | 'off';
  /** Draft with the model's own layers that predict further tokens. */
  readonly draftMtp?: boolean;
  /** Load the file as well that turns images into embeddings. */
  readonly mmproj?: boolean;
  readonly json?: boolean;
}
