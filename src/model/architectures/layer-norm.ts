import { DEFAULT_NORM_EPSILON } from '../synthetic/defaults.ts';
import type { Architecture } from './architecture.ts';

/** Architectures that subtract the mean in their norms read the constant under a name of its own. */
export const LAYER_NORM_EPSILON: Architecture['metadata'] = (shape) => [
  ['attention.layer_norm_epsilon', { type: 'f32', value: shape.normEpsilon ?? DEFAULT_NORM_EPSILON }],
];
