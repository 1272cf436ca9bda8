import type { Bytes } from '../units/index.ts';
import type { CacheType } from './cache-types.ts';
import type { FlashAttention } from './engine.ts';

/** A context that the engine is asked to lay out in memory; every setting that decides a size. */
export interface ContextSettings {
  /** For all sequences together (`n_ctx`). */
  readonly contextTokens: number;
  /** Sequences that the cache keeps apart (`n_seq_max`). */
  readonly sequences: number;
  /** One cache for all sequences, as llama-server has it by default, rather than a part for each. */
  readonly unifiedCache: boolean;
  readonly batchTokens: number;
  readonly ubatchTokens: number;
  readonly cacheTypeK: CacheType;
  readonly cacheTypeV: CacheType;
  readonly flashAttention: FlashAttention;
  /**
   * The context of the layers that predict further tokens (`LLAMA_CONTEXT_TYPE_MTP`), which llama-server makes beside the
   * other to draft with; it gives logits for one token of a sequence. Absent: the model's own.
   */
  readonly drafts?: boolean | undefined;
  /** Earlier states that a recurrent context keeps to go back to (`n_rs_seq`); absent: none. */
  readonly rollbackStates?: number | undefined;
}

/** A model file, whose weights may be a hole, and the contexts to lay out for it. */
export interface MemoryRequest {
  readonly modelPath: string;
  /** Layers on the GPU; -1 is all of them. */
  readonly gpuLayers: number;
  /** Layers whose expert tensors stay in the CPU's memory, counted from the first (-ncmoe). */
  readonly cpuMoeLayers: number;
  /** Shares in which the devices get the layers (-ts); absent: in proportion to the memory that each has free. */
  readonly tensorSplit?: readonly number[] | undefined;
  /** Whether the layers that predict further tokens are loaded (`load_mtp`); absent: they are left out. */
  readonly nextTokenLayers?: boolean | undefined;
  readonly contexts: readonly ContextSettings[];
}

/** What would lie in the buffers of one type. */
export interface BufferMemory {
  /** The engine's name of the type: `CPU`, `CPU_REPACK`, `Vulkan0`, `Vulkan_Host`. */
  readonly name: string;
  /** Whether the processor addresses it: then it is the system's memory. */
  readonly isHost: boolean;
  readonly modelBytes: Bytes;
  /** KV cache and recurrent state. */
  readonly contextBytes: Bytes;
  readonly computeBytes: Bytes;
}

/** One KV cache of a context, as the engine logs it; models with sliding windows have two, DeepSeek-V4 four. */
export interface KvCacheLine {
  readonly cells: number;
  readonly layers: number;
  readonly sequences: number;
  readonly streams: number;
  /** Rounded to the engine's hundredths of a MiB, like {@link valueBytes}. */
  readonly keyBytes: Bytes;
  readonly valueBytes: Bytes;
}

/** The engine's own account of a context. */
export interface ContextMemory {
  readonly buffers: readonly BufferMemory[];
  readonly kvCaches: readonly KvCacheLine[];
  /** Rounded to the engine's hundredths of a MiB. */
  readonly recurrentBytes: Bytes;
  /** Rounded likewise: the logits that the caller reads. Not part of {@link buffers}. */
  readonly outputBytes: Bytes;
}

/** The account of a context, or the engine's reason to refuse it. */
export type ContextOutcome = ContextMemory | { readonly refusal: string };
