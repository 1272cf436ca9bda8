import type { Shift } from './calibrate.ts';
import { TERM_NAMES, type Metric } from './effects.ts';

/**
 * What a calibration may move on a device whose rates were measured. Its weights and products are known to within
 * what a model loses of single products, and what the machine drifts meanwhile; only what no product measures is as
 * unknown as on any other device: attention, experts' rows that are few and scattered, the cost of each operation.
 */
export const MEASURED_SHIFTS: Readonly<Record<Metric, readonly Shift[]>> = {
  generation: [
    { terms: TERM_NAMES.generation, sigma: 0.1 },
    { terms: ['dense', 'experts'], sigma: 0.25 },
    { terms: ['experts'], sigma: 0.25 },
    { terms: ['fixed', 'launch'], sigma: 0.5 },
    { terms: ['cache', 'attention'], sigma: 0.6 },
    ...['cache', 'attention', 'state'].map((term) => ({ terms: [term], sigma: 0.6 })),
  ],
  prompt: [
    { terms: TERM_NAMES.prompt, sigma: 0.1 },
    { terms: ['matmul', 'expert-matmul', 'dispatch'], sigma: 0.15 },
    { terms: ['expert-matmul', 'dispatch'], sigma: 0.6 },
    { terms: ['fixed', 'launch'], sigma: 0.5 },
    ...['attention', 'elementwise', 'state', 'stream'].map((term) => ({ terms: [term], sigma: 1 })),
  ],
};
