import type { Backend, EngineChoice } from './engine-options.ts';

/** The options that all predictions share. */
export type SettingFlag = 'ubatchSize' | 'flashAttn' | 'cacheType' | 'nGpuLayers' | 'nCpuMoe' | 'hostDevice';

/** What was written on the command line; absent where nothing was. */
export interface PredictFlags {
  readonly machine?: readonly string[];
  readonly backend?: readonly string[];
  /** Absent: an empty cache. */
  readonly depth?: readonly number[];
  /** Absent: 512, as in llama-bench. */
  readonly prompt?: readonly number[];
  readonly gen: number;
  readonly output?: string;
  readonly ubatchSize?: number;
  readonly flashAttn?: 'on' | 'off';
  readonly cacheType?: string;
  readonly nGpuLayers?: number;
  readonly nCpuMoe?: number;
  readonly hostDevice?: string;
  readonly batch?: string;
  readonly measured?: boolean;
  readonly json?: boolean;
}

export interface ExplainFlags extends Pick<PredictFlags, SettingFlag | 'json'> {
  readonly machine?: string;
  readonly backend?: string;
  readonly depth: number;
  readonly prompt: number;
  readonly gen: number;
  readonly svg?: string;
}

export interface CompareFlags extends Pick<PredictFlags, SettingFlag | 'json'> {
  readonly model: string;
  readonly prompt?: readonly number[];
  readonly output: number;
  readonly cached: number;
}

export interface CalibrateFlags {
  readonly machine?: string;
  readonly backend?: Backend;
  readonly engine: EngineChoice;
  readonly fromRecords?: boolean;
  readonly json?: boolean;
}
