import type { Backend, EngineChoice } from './engine-options.ts';

export const REPORT_FORMATS = ['text', 'md'] as const;

/** What `check` was asked for. */
export interface CheckOptions {
  readonly quick: boolean;
  readonly json: boolean;
  readonly format: (typeof REPORT_FORMATS)[number];
  /** null: the best one with a real device. */
  readonly backend: Backend | null;
  readonly engine: EngineChoice;
}
