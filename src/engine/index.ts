/** The face of `engine`: what it means to run a model, and the ways in which that can fail. */
export { CACHE_TYPES, isCacheType } from './cache-types.ts';
export type { CacheType } from './cache-types.ts';
export type {
  BenchTest,
  Engine,
  EngineBuffer,
  EngineDescription,
  EngineDevice,
  EngineLimits,
  FlashAttention,
  LoadedModel,
  LoadedModelInfo,
  ModelSettings,
  Ruler,
  RunRequest,
} from './engine.ts';
export { EngineFailure, FAILURE_KINDS } from './failure.ts';
export type { FailureKind } from './failure.ts';
export type {
  BufferMemory,
  ContextMemory,
  ContextOutcome,
  ContextSettings,
  KvCacheLine,
  MemoryRequest,
} from './memory-request.ts';
export { STREAM_OPERATIONS, TRANSFER_DIRECTIONS } from './probe.ts';
export type {
  AttendRequest,
  EngineProbe,
  MultiplyRequest,
  StreamOperation,
  StreamRequest,
  StreamTimes,
  TransferDirection,
  TransferRequest,
} from './probe.ts';
