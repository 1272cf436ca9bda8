import type { Bytes, Nanoseconds } from '../units/index.ts';
import type { CacheType } from './cache-types.ts';

/** A device that an engine can compute on, as the engine itself names it. */
export interface EngineDevice {
  /** `CPU`, `Vulkan0`, `CUDA0`, ... */
  readonly name: string;
  readonly description: string;
  readonly kind: 'cpu' | 'gpu' | 'integrated-gpu' | 'accelerator' | 'unknown';
  /** null: the engine does not say. */
  readonly totalBytes: Bytes | null;
  readonly freeBytes: Bytes | null;
}

/** What an engine says of itself, without a model. Empty strings mean that it lists none. */
export interface EngineDescription {
  /** `embedded:cpu`, `embedded:vulkan`, `llama-bench:/path`. */
  readonly id: string;
  /** llama.cpp's release, `0.5.0`; null where a build does not say. */
  readonly version: string | null;
  readonly buildCommit: string;
  /** null where a build does not say. */
  readonly buildNumber: number | null;
  /** As llama-bench prints it: `CPU`, `Vulkan`, `ROCm`. */
  readonly backends: string;
  readonly cpuInfo: string;
  readonly gpuInfo: string;
  readonly devices: readonly EngineDevice[];
  readonly ruler: Ruler | null;
}

/** The ruler measured: what the clock and the call into the library cost by themselves. */
export interface Ruler {
  readonly timerResolutionNanoseconds: Nanoseconds;
  readonly callOverheadNanoseconds: Nanoseconds;
}

export type FlashAttention = 'on' | 'off' | 'auto';

/** Everything that decides how a model is loaded and run. Nothing is left to a library's default. */
export interface ModelSettings {
  readonly modelPath: string;
  /** Tokens that the KV cache must hold: prompt + generated + depth. */
  readonly contextTokens: number;
  readonly batchTokens: number;
  readonly ubatchTokens: number;
  readonly threads: number;
  /** Layers on the GPU; -1 is all of them. */
  readonly gpuLayers: number;
  /** Layers whose expert tensors stay in the CPU's memory, counted from the first (llama-bench -ncmoe). */
  readonly cpuMoeLayers: number;
  readonly cacheTypeK: CacheType;
  readonly cacheTypeV: CacheType;
  readonly flashAttention: FlashAttention;
}

/** One test in llama-bench's terms: pp (prompt only), tg (generation only) or pg (both), at a depth. */
export interface BenchTest {
  readonly promptTokens: number;
  readonly generatedTokens: number;
  /** Tokens that lie in the KV cache before the timed part. */
  readonly depthTokens: number;
}

/** What the engine says of a model that it has loaded. */
export interface LoadedModelInfo {
  /** `llama 7B Q4_0`: llama_model_desc. */
  readonly description: string;
  /** Sum of the tensors: llama_model_size. */
  readonly sizeBytes: Bytes;
  readonly parameters: number;
}

export interface EngineBuffer {
  /** The engine's name of the buffer: `CPU_REPACK`, `Vulkan0`. */
  readonly name: string;
  readonly kind: 'model' | 'kv' | 'recurrent' | 'compute' | 'output';
  readonly bytes: Bytes;
}

/** How long the supervisor waits before it gives an engine up, in milliseconds. */
export interface EngineLimits {
  readonly loadMilliseconds: number;
  /** For one repetition, with the filling of the KV cache to its depth. */
  readonly repetitionMilliseconds: number;
}

export interface RunRequest {
  readonly test: BenchTest;
  readonly repetitions: number;
}

/** A model in memory, in a process of its own. */
export interface LoadedModel {
  /** null until the engine has told it; llama-bench tells it with its first result. */
  readonly info: LoadedModelInfo | null;
  /** What the engine said of its build with its first result; null where {@link Engine.describe} has said it all. */
  readonly build: Pick<
    EngineDescription,
    'buildCommit' | 'buildNumber' | 'backends' | 'cpuInfo' | 'gpuInfo'
  > | null;
  /** The process to watch while a run is timed; null while there is none. */
  readonly processId: number | null;
  /**
   * Fewest repetitions that one call of {@link run} should ask for: 1 where the model stays in memory between calls,
   * more where every call starts a process and loads anew.
   */
  readonly repetitionsPerCall: number;
  /** true: each call warms up by itself, and its samples are all good. */
  readonly warmsUpItself: boolean;
  /**
   * Runs a test with random tokens and returns the time of each repetition. The filling of the KV cache is not timed.
   * @throws EngineFailure when the engine dies, hangs, or refuses.
   */
  run(request: RunRequest): Promise<readonly Nanoseconds[]>;
  /** The buffers that the engine allocated; null where it does not tell. */
  buffers(): readonly EngineBuffer[] | null;
  /** What the engine logged, newest last, bounded. */
  log(): string;
  /** Ends the process; safe to call twice. */
  end(): Promise<void>;
}

/** What "run this model" means. Implementations pass `test/contract/engine.contract.ts`. */
export interface Engine {
  readonly id: string;
  /** @throws EngineFailure `load-failed` when the library or the program cannot be used. */
  describe(): Promise<EngineDescription>;
  /**
   * @param signal - aborting it kills the process; calls in flight then reject with the signal's reason.
   * @throws EngineFailure
   */
  load(settings: ModelSettings, limits: EngineLimits, signal?: AbortSignal): Promise<LoadedModel>;
}
