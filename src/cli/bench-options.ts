import type { CacheType, FlashAttention } from '../engine/index.ts';
import type { LlamaBenchFormat } from '../report/index.ts';
import type { Seconds } from '../units/index.ts';
import type { Backend, EngineChoice } from './engine-options.ts';

/** Which layers of a synthetic model run. */
export type LayersChoice =
  | { readonly kind: 'auto' }
  | { readonly kind: 'all' }
  | { readonly kind: 'counts'; readonly counts: readonly [number, number] };

export interface PromptAndGeneration {
  readonly promptTokens: number;
  readonly generatedTokens: number;
}

/** What `bench` was asked for. Lists make a sweep over every combination. */
export interface BenchOptions {
  readonly promptTokens: readonly number[];
  readonly generatedTokens: readonly number[];
  readonly promptAndGeneration: readonly PromptAndGeneration[];
  readonly depthTokens: readonly number[];
  readonly batchTokens: readonly number[];
  readonly ubatchTokens: readonly number[];
  readonly cacheTypeK: readonly CacheType[];
  readonly cacheTypeV: readonly CacheType[];
  /** null: as many as are recommended for this machine. */
  readonly threads: readonly number[] | null;
  readonly gpuLayers: readonly number[];
  readonly cpuMoeLayers: readonly number[];
  readonly flashAttention: readonly FlashAttention[];
  /** null: until the interval is narrow enough. */
  readonly repetitions: number | null;
  /** null: the table for people. */
  readonly output: LlamaBenchFormat | null;
  /** The same rows again on standard error; null: not. */
  readonly outputError: LlamaBenchFormat | null;
  readonly engine: EngineChoice;
  /** null: the best one with a real device. */
  readonly backend: Backend | null;
  readonly layers: LayersChoice;
  /** Start over, instead of going on with an interrupted sweep. */
  readonly fresh: boolean;
  readonly retryFailed: boolean;
  /** Limit for each repetition; null: as the protocol sets it. */
  readonly timeout: Seconds | null;
  /** Print the records of Ridgepoint as one JSON document. */
  readonly json: boolean;
}
