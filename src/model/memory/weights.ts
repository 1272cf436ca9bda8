import type { GgmlTypeName } from '../ggml-types.ts';
import type { ModelTensor } from '../tensors.ts';
import { bytes, type Bytes } from '../../units/index.ts';

/** Where the parts of a model lie. */
export interface Placement {
  /**
   * Layers on the GPU, counted from the last, the output counting as one more (`-ngl`); null: all. Without a GPU it
   * does not matter.
   */
  readonly gpuLayers: number | null;
  /** Layers whose experts stay in the system's memory, counted from the first (`-ncmoe`). */
  readonly cpuMoeLayers: number;
}

export const ON_DEVICE: Placement = { gpuLayers: null, cpuMoeLayers: 0 };

/** Bytes of a model's weights by where they are. */
export interface WeightBytes {
  readonly device: Bytes;
  /** In the system's memory, as they are in the file. */
  readonly host: Bytes;
  /** In the system's memory, rearranged for the processor (`CPU_REPACK`): a copy that the file's cache cannot serve. */
  readonly repacked: Bytes;
}

/** `LLM_FFN_EXPS_REGEX`, common/common.h: weights and biases of experts. */
const EXPERT_NAME = /^blk\.\d+\.ffn_(?:up|down|gate|gate_up)_(?:ch|)exps/;

/**
 * Whether the layer lies on the GPU: `i_gpu_start` of `llama_model_base::load_tensors`, src/llama-model.cpp. The
 * output counts as the layer after the last.
 */
export function isOnGpu(layer: number, layers: number, { gpuLayers }: Placement): boolean {
  return gpuLayers === null || layer >= layers + 1 - gpuLayers;
}

/**
 * Types whose rows are rearranged for the vector units of a processor with AVX2, as every one since 2015 has, and for
 * Q2_K AVX-512 (`ggml_repack_get_optimal_repack_type`, ggml/src/ggml-cpu/repack.cpp, release v0.5.0).
 */
const REPACKED_TYPES: ReadonlySet<GgmlTypeName> = new Set<GgmlTypeName>([
  'Q4_0',
  'Q4_K',
  'IQ4_NL',
  'MXFP4',
  'Q2_K',
]);
const REPACKED_ROWS = 8;

function isRepacked(tensor: ModelTensor): boolean {
  const isProduct =
    tensor.role !== 'token-embedding' && (tensor.dims.length === 2 || EXPERT_NAME.test(tensor.name));
  return isProduct && REPACKED_TYPES.has(tensor.type) && (tensor.dims[1] ?? 0) % REPACKED_ROWS === 0;
}

/**
 * Where the tensors of a model lie. The embedding table stays in the system's memory; where it is also the head, the
 * head is a second copy, on the device.
 * @param hasGpu - the device is not the processor.
 * @param alignment - of the device's buffers.
 */
export function placeWeights(
  tensors: readonly ModelTensor[],
  layers: number,
  placement: Placement,
  hasGpu: boolean,
  alignment: number,
): WeightBytes {
  let device = 0;
  let host = 0;
  let repacked = 0;
  const padded = (size: number): number => Math.ceil(size / alignment) * alignment;
  const place = (tensor: ModelTensor, onGpu: boolean): void => {
    if (onGpu) device += padded(tensor.bytes);
    else if (isRepacked(tensor)) repacked += tensor.bytes;
    else host += tensor.bytes;
  };
  const tied = !tensors.some(({ role }) => role === 'output');
  for (const tensor of tensors) {
    if (tensor.role === 'token-embedding') {
      host += tensor.bytes;
      if (tied) placeTiedHead(tensor);
      continue;
    }
    const layer = tensor.layer ?? layers;
    const keptBack =
      tensor.layer !== null && tensor.layer < placement.cpuMoeLayers && EXPERT_NAME.test(tensor.name);
    place(tensor, hasGpu && !keptBack && isOnGpu(layer, layers, placement));
  }
  return { device: bytes(device), host: bytes(host), repacked: bytes(repacked) };

  /** A second tensor only where it lies in another kind of buffer (`TENSOR_DUPLICATED`, src/llama-model-loader.cpp). */
  function placeTiedHead(tensor: ModelTensor): void {
    const head: ModelTensor = { ...tensor, role: 'output' };
    if (hasGpu && isOnGpu(layers, layers, placement)) device += padded(head.bytes);
    else if (isRepacked(head)) repacked += head.bytes;
  }
}
