/** The host face of `engine`: the engines themselves. */
export { openEmbeddedEngine } from './embedded.ts';
export type { EmbeddedEngine, EmbeddedModel, EmbeddedOptions } from './embedded.ts';
export { embeddedVariants } from './embedded-packages.ts';
export type { EmbeddedBuild, EmbeddedVariant } from './embedded-packages.ts';
export { findLlamaBench } from './find-llama-bench.ts';
export { openLlamaBenchEngine } from './llama-bench.ts';
export { openTorch, TORCH_TYPES } from './torch.ts';
export type { Torch } from './torch.ts';
