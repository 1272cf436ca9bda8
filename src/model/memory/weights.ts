import type { GgmlTypeName } from '../ggml-types.ts';
import { EXPERT_NAME, isInputTable, isReadByProcessor, OF_FIRST_LAYER } from './graph/weight-index.ts';
import type { ComputeBackend } from './compute-backends.ts';
import { deviceCount, deviceOfLayer, type Placement } from './placement.ts';
import type { ModelShape } from '../shape.ts';
import type { ModelTensor } from '../tensors.ts';
import { bytes, type Bytes } from '../../units/index.ts';

/** Bytes of a model's weights by where they are. */
export interface WeightBytes {
  /** On each GPU. */
  readonly devices: readonly Bytes[];
  /** In the system's memory, as they are in the file. */
  readonly host: Bytes;
  /** In the system's memory, rearranged for the processor (`CPU_REPACK`): a copy that the file's cache cannot serve. */
  readonly repacked: Bytes;
}

/** `TENSOR_ALIGNMENT`, ggml/src/ggml-impl.h: bytes. */
const HOST_ALIGNMENT = 32;

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
export const READS_TABLE: ReadonlySet<string> = new Set(['bitnet']);

/** The layer by whose place that of the tensor is decided; the output counts as the one after the last. */
function placedWith(
  { layer, name }: ModelTensor,
  { layers, architecture }: Pick<ModelShape, 'layers' | 'architecture'>,
): number {
  return layer ?? (OF_FIRST_LAYER[architecture]?.test(name) === true ? 0 : layers);
}

interface PlacedWeights {
  readonly placement: Placement;
  readonly backend: ComputeBackend;
  readonly placed: WeightBytes;
}

const LAST_PLACED = new WeakMap<readonly ModelTensor[], PlacedWeights>();

/** {@link placeAll}; the last answer for a list of tensors is kept, as its contexts are asked for one after the other. */
export function placeWeights(
  shape: Pick<ModelShape, 'layers' | 'architecture'>,
  tensors: readonly ModelTensor[],
  placement: Placement,
  backend: ComputeBackend,
): WeightBytes {
  const last = LAST_PLACED.get(tensors);
  if (last?.backend === backend && last.placement === placement) {
    return last.placed;
  }
  const placed = placeAll(shape, tensors, placement, backend);
  LAST_PLACED.set(tensors, { placement, backend, placed });
  return placed;
}

/**
 * Where the tensors of a model lie. The embedding table stays in the system's memory; where it is also the head, the
 * head is a second copy, on the device. What the processor keeps of a model that a GPU has a part of lies in memory
 * that the GPU can read, and is not rearranged (`make_cpu_buft_list`, src/llama-model.cpp).
 */
function placeAll(
  shape: Pick<ModelShape, 'layers' | 'architecture'>,
  tensors: readonly ModelTensor[],
  placement: Placement,
  backend: ComputeBackend,
): WeightBytes {
  const { layers, architecture } = shape;
  const hasGpu = !backend.isProcessor;
  const fitsDevice = (tensor: ModelTensor): boolean =>
    tensor.bytes <= backend.maxTensorBytes && !isReadByProcessor(tensor);
  const devices = Array<number>(hasGpu ? deviceCount(placement) : 0).fill(0);
  let host = 0;
  let repacked = 0;
  const padded = (size: number, to: number): number => Math.ceil(size / to) * to;
  const place = (tensor: ModelTensor, device: number | null): void => {
    if (device !== null && fitsDevice(tensor)) {
      devices[device] = (devices[device] ?? 0) + padded(tensor.bytes, backend.device.alignment);
    } else if (hasGpu && fitsDevice(tensor)) {
      host += padded(tensor.bytes, backend.host.alignment);
    } else if (isRepacked(tensor)) repacked += padded(tensor.bytes, HOST_ALIGNMENT);
    else host += padded(tensor.bytes, HOST_ALIGNMENT);
  };
  const deviceOf = (layer: number): number | null =>
    hasGpu ? deviceOfLayer(layer, layers, placement) : null;
  const tied = !READS_TABLE.has(architecture) && !tensors.some(({ role }) => role === 'output');
  for (const tensor of tensors) {
    if (isInputTable(tensor)) {
      // A buffer of the system's memory that the device can read, where there is one.
      host += padded(tensor.bytes, hasGpu ? backend.host.alignment : HOST_ALIGNMENT);
      if (tied && tensor.role === 'token-embedding') placeTiedHead(tensor);
    } else if (tensor.role === 'rope-frequencies') {
      // One in each kind of buffer that has a layer.
      const places = new Set(Array.from({ length: layers }, (_, layer) => deviceOf(layer)));
      for (const device of places) place(tensor, device);
    } else {
      const { layer } = tensor;
      const keptBack = layer !== null && layer < placement.cpuMoeLayers && EXPERT_NAME.test(tensor.name);
      place(tensor, keptBack ? null : deviceOf(placedWith(tensor, shape)));
    }
  }
  return { devices: devices.map(bytes), host: bytes(host), repacked: bytes(repacked) };

  /** A second tensor only where it lies in another kind of buffer (`TENSOR_DUPLICATED`, src/llama-model-loader.cpp). */
  function placeTiedHead(tensor: ModelTensor): void {
    const head: ModelTensor = { ...tensor, role: 'output' };
    const device = deviceOf(layers);
    if (device !== null && fitsDevice(head)) place(head, device);
    else if (isRepacked(head) && !(hasGpu && fitsDevice(head)))
      repacked += padded(head.bytes, HOST_ALIGNMENT);
    else if (HOLDS_TIED_HEAD_TWICE.has(architecture)) host += padded(head.bytes, HOST_ALIGNMENT);
  }
}
