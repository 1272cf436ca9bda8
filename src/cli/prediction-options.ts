import type { Backend, EngineChoice } from './engine-options.ts';

/** The options that all predictions share. */
export type SettingFlag = 'ubatchSize' | 'flashAttn' | 'cacheType' | 'nGpuLayers' | 'nCpuMoe' | 'hostDevice';

/** What was written on the command line; absent where nothing was. */
export interface PredictFlags {
  readonly machine?: readonly string[];
  readonly backend?: readonly string[];
  readonly depth: readonly number[];
  readonly prompt: number;
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
  readonly svg?: string;
}

export interface CompareFlags extends Pick<PredictFlags, SettingFlag | 'json'> {
  readonly model: string;
  readonly prompt: number;
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
