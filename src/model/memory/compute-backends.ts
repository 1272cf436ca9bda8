import type { ArenaLimits } from './graph/arena.ts';

/** What the buffers of a backend are like. */
export interface ComputeBackend {
  /** The device is the processor itself: there is one buffer. */
  readonly isProcessor: boolean;
  readonly device: ArenaLimits;
  readonly host: ArenaLimits;
  /** Weights and tensors that are larger stay with the processor. */
  readonly maxTensorBytes: number;
}

/** `TENSOR_ALIGNMENT`, ggml/src/ggml-impl.h; buffers of the processor have no largest size. */
const PROCESSOR_BUFFER: ArenaLimits = { alignment: 32, maxChunkBytes: Number.MAX_SAFE_INTEGER };

/**
 * The CPU backend, and Vulkan with the limits that ggml-vulkan.cpp sets where the device has none of its own:
 * `suballocation_block_size` 1 GiB. A tensor may have the device's `maxStorageBufferRange`, 4 GiB less one byte on the
 * drivers of AMD, NVIDIA and Intel. Vulkan's alignment is the device's `minStorageBufferOffsetAlignment`, 16 on
 * most, and the host's `minMemoryMapAlignment`, 64.
 */
export const COMPUTE_BACKENDS = {
  cpu: {
    isProcessor: true,
    device: PROCESSOR_BUFFER,
    host: PROCESSOR_BUFFER,
    maxTensorBytes: Number.MAX_SAFE_INTEGER,
  },
  vulkan: {
    isProcessor: false,
    device: { alignment: 16, maxChunkBytes: 2 ** 30 },
    host: { alignment: 64, maxChunkBytes: 2 ** 30 },
    maxTensorBytes: 2 ** 32 - 1,
  },
} as const satisfies Record<string, ComputeBackend>;
