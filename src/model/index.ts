/** The face of `model`. */
export type { ModelShape } from './shape.ts';
