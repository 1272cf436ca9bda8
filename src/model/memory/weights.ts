import type { GgmlTypeName } from '../ggml-types.ts';
import { isInputTable, isReadByProcessor } from './graph/weight-index.ts';
import type { ComputeBackend } from './compute-backends.ts';
import type { ModelShape } from '../shape.ts';
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

/** `TENSOR_ALIGNMENT`, ggml/src/ggml-impl.h: bytes. */
const HOST_ALIGNMENT = 32;

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
 * Architectures whose loader makes the head before the embedding table, so that a tied table is not recognised as the
 * tensor that is there already, and is held twice (src/models/gemma3n.cpp, gemma4.cpp, release v0.5.0).
 */
const HOLDS_TIED_HEAD_TWICE: ReadonlySet<string> = new Set(['gemma3n', 'gemma4']);

/**
 * Architectures whose logits are computed from the embedding table itself, without a copy that is loaded as the head
 * (src/models/bitnet.cpp, release v0.5.0): a GPU gets one for each ubatch.
 */
const READS_TABLE: ReadonlySet<string> = new Set(['bitnet']);

/**
 * Where the tensors of a model lie. The embedding table stays in the system's memory; where it is also the head, the
 * head is a second copy, on the device.
 */
export function placeWeights(
  { layers, architecture }: Pick<ModelShape, 'layers' | 'architecture'>,
  tensors: readonly ModelTensor[],
  placement: Placement,
  backend: ComputeBackend,
): WeightBytes {
  const hasGpu = !backend.isProcessor;
  const { alignment } = backend.device;
  const fitsDevice = (tensor: ModelTensor): boolean =>
    tensor.bytes <= backend.maxTensorBytes && !isReadByProcessor(tensor);
  let device = 0;
  let host = 0;
  let repacked = 0;
  const padded = (size: number, to = HOST_ALIGNMENT): number => Math.ceil(size / to) * to;
  const place = (tensor: ModelTensor, onGpu: boolean): void => {
    if (onGpu && fitsDevice(tensor)) device += padded(tensor.bytes, alignment);
    else if (isRepacked(tensor)) repacked += padded(tensor.bytes);
    else host += padded(tensor.bytes);
  };
  const tied = !READS_TABLE.has(architecture) && !tensors.some(({ role }) => role === 'output');
  for (const tensor of tensors) {
    if (isInputTable(tensor)) {
      // A buffer of the system's memory that the device can read, where there is one.
      host += padded(tensor.bytes, hasGpu ? backend.host.alignment : HOST_ALIGNMENT);
      if (tied && tensor.role === 'token-embedding') placeTiedHead(tensor);
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
    if (hasGpu && fitsDevice(head) && isOnGpu(layers, layers, placement))
      device += padded(head.bytes, alignment);
    else if (isRepacked(head)) repacked += padded(head.bytes);
    else if (HOLDS_TIED_HEAD_TWICE.has(architecture)) host += padded(head.bytes);
  }
}
