/** The face of `model`: shapes, tensors and mixes, memory, layer sampling, GGUF headers, synthetic files. */
export { contextNote } from './context-note.ts';
export { hasAllTensors, inTypesOfFile } from './file-tensors.ts';
export { GGML_TYPES } from './ggml-types.ts';
export type { GgmlTypeName } from './ggml-types.ts';
export { shapeFieldsOfConfig } from './config-shape.ts';
export { shapeFieldsOfHeader } from './header-shape.ts';
export { isSyntheticArchitecture } from './architectures/registry.ts';
export { isExpertLayer, isRecurrentLayer, isSlidingWindowLayer, ofLayer, shapeOf } from './shape.ts';
export type { ModelShape, ShapeFields } from './shape.ts';
export { MIX_NAMES, isMixName } from './mixes.ts';
export type { MixName } from './mixes.ts';
export {
  activeParameterCount,
  activeWeightBytesPerToken,
  hasKnownNextTokenLayers,
  parameterCount,
  tensorsOf,
  tensorsWithNextTokenLayers,
  weightBytes,
  weightBytesInMixes,
} from './tensors.ts';
export type { ModelTensor } from './tensors.ts';
export { kvBytesPerToken } from './memory/kv-per-token.ts';
export type { KvBytesPerToken } from './memory/kv-per-token.ts';
export { fewestRunnableLayers } from './engine-needs.ts';
export { layerKinds, sampleComposition, sampleLayers } from './layer-sampling.ts';
export type { LayerKind, SampleComposition } from './layer-sampling.ts';
export { GgufError } from './gguf/gguf-error.ts';
export type { GgufErrorCode } from './gguf/gguf-error.ts';
export { parseGgufHeader } from './gguf/parse-header.ts';
export type { GgufHeader } from './gguf/parse-header.ts';
export { summariseHeader } from './gguf/summary.ts';
export type { ModelSummary } from './gguf/summary.ts';
export { isEngineArchitecture } from './gguf/engine-architectures.ts';
export { planSyntheticFile } from './synthetic/file-plan.ts';
export type { SyntheticModel } from './synthetic/file-plan.ts';
export { COMPUTE_BACKENDS } from './memory/compute-backends.ts';
export type { ComputeBackend } from './memory/compute-backends.ts';
export { projectorMemory } from './memory/projector.ts';
export type { ProjectorMemory } from './memory/projector.ts';
export { leastMemoryOf, memoryOf } from './memory/breakdown.ts';
export type {
  MemoryBreakdown,
  MemoryKind,
  MemoryLine,
  ModelWeights,
  PlacedBytes,
} from './memory/breakdown.ts';
export { kvCaches } from './memory/kv-state.ts';
export type { CachedLayer, KvCache, Unsupported } from './memory/kv-state.ts';
export { recurrentLayers } from './memory/recurrent-state.ts';
export type { RecurrentLayer } from './memory/recurrent-state.ts';
export { DEFAULT_CONTEXT, resolveContext } from './memory/settings.ts';
export type { ContextMemorySettings, KvCacheType, ResolvedContext } from './memory/settings.ts';
export { isOnGpu, ON_DEVICE } from './memory/placement.ts';
export type { Placement } from './memory/placement.ts';
export type { WeightBytes } from './memory/weights.ts';
