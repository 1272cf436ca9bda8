import { BLOCK_BYTES, BLOCK_SIZE, OP, TYPE } from './operations.ts';
import type { TensorGraph } from './tensor-graph.ts';
import type { Tensor } from './tensor-store.ts';

const HEAD_MULTIPLE = 8;
/** Heads of the indexer are as long as the shader's block (`GGML_OP_LIGHTNING_INDEXER`). */
const INDEXER_HEAD_LENGTH = 128;
/** The shader of `GGML_OP_DSV4_HC_*` is written for this many copies of the stream. */
const STREAM_COPIES = 4;
const DELTA_HEAD_LENGTHS: ReadonlySet<number> = new Set([16, 32, 64, 128]);
const SCAN_STATE_LENGTHS: ReadonlySet<number> = new Set([128, 256]);
const SCAN_HEAD_MULTIPLE = 16;

/**
 * Whether the Vulkan backend computes a tensor: `ggml_backend_vk_device_supports_op`
 * (ggml/src/ggml-vulkan/ggml-vulkan.cpp, release v0.5.0), as far as the graphs of language models can fail it on a GPU
 * with subgroups and half precision.
 * @param maxTensorBytes - `maxStorageBufferRange`, or the device's largest buffer if that is smaller.
 */
export function vulkanSupports(graph: TensorGraph, tensor: Tensor, maxTensorBytes: number): boolean {
  const count = graph.sourceCount[tensor] ?? 0;
  if (graph.bytes(tensor) > maxTensorBytes) return false;
  for (let index = 0; index < count; index += 1) {
    if (graph.bytes(graph.sourceOf(tensor, index)) > maxTensorBytes) return false;
  }
  const first = graph.sourceOf(tensor, 0);
  switch (graph.op[tensor] ?? OP.none) {
    case OP.flashAttention:
      return (
        graph.ne(graph.sourceOf(tensor, 1), 0) % HEAD_MULTIPLE === 0 &&
        graph.ne(graph.sourceOf(tensor, 2), 0) % HEAD_MULTIPLE === 0
      );
    case OP.mulMat:
    case OP.mulMatId:
      return supportsProduct(graph, tensor);
    case OP.rope:
    case OP.ropeBack:
      return hasWholeRows(graph, tensor) && hasWholeRows(graph, first);
    case OP.scale:
    case OP.softMax:
      return isContiguous(graph, first);
    case OP.argsort:
    case OP.topK:
      return isContiguous(graph, tensor) && isContiguous(graph, first);
    case OP.sumRows:
    case OP.mean:
      return hasWholeRows(graph, first);
    case OP.mixCopies:
      return graph.ne(first, 1) === STREAM_COPIES;
    case OP.spreadCopies:
      return graph.ne(graph.sourceOf(tensor, 1), 1) === STREAM_COPIES;
    case OP.lightningIndexer:
      return graph.ne(first, 0) === INDEXER_HEAD_LENGTH;
    case OP.gatedDeltaNet:
      return DELTA_HEAD_LENGTHS.has(graph.ne(graph.sourceOf(tensor, 2), 0));
    case OP.ssmScan:
      // Of Mamba 2 alone: one factor of decay for a head.
      return (
        graph.nb(graph.sourceOf(tensor, 3), 1) === (BLOCK_BYTES[TYPE.f32] ?? 0) &&
        SCAN_STATE_LENGTHS.has(graph.ne(first, 0)) &&
        graph.ne(first, 1) % SCAN_HEAD_MULTIPLE === 0
      );
    default:
      return true;
  }
}

function supportsProduct(graph: TensorGraph, tensor: Tensor): boolean {
  const weight = graph.sourceOf(tensor, 0);
  const b = graph.sourceOf(tensor, 1);
  const a = graph.op[tensor] === OP.mulMat ? weight : graph.sourceOf(tensor, 2);
  if (graph.ne(a, 3) !== graph.ne(b, 3)) return false;
  return [weight, b].every(
    (each) => (BLOCK_SIZE[graph.type[each] ?? 0] ?? 1) === 1 || isPlaneContiguous(graph, each),
  );
}

/** `ggml_vk_dim01_contiguous`. */
function isPlaneContiguous(graph: TensorGraph, tensor: Tensor): boolean {
  const type = graph.type[tensor] ?? 0;
  return (
    graph.nb(tensor, 0) === BLOCK_BYTES[type] &&
    graph.nb(tensor, 1) === (graph.nb(tensor, 0) * graph.ne(tensor, 0)) / (BLOCK_SIZE[type] ?? 1) &&
    (graph.ne(tensor, 3) === 1 || graph.nb(tensor, 3) === graph.nb(tensor, 2) * graph.ne(tensor, 2))
  );
}

/** `ggml_is_contiguous_rows`. */
function hasWholeRows(graph: TensorGraph, tensor: Tensor): boolean {
  const type = graph.type[tensor] ?? 0;
  return graph.ne(tensor, 0) === BLOCK_SIZE[type] || graph.nb(tensor, 0) === BLOCK_BYTES[type];
}

/**
 * `ggml_is_contiguous_m_n` of ggml/src/ggml.c with all dimensions.
 * @param free - dimensions after the first of which strides do not matter.
 */
export function isContiguous(graph: TensorGraph, tensor: Tensor, free = 0): boolean {
  const type = graph.type[tensor] ?? 0;
  const block = BLOCK_SIZE[type] ?? 1;
  let next = BLOCK_BYTES[type] ?? 0;
  if (graph.ne(tensor, 0) !== block && graph.nb(tensor, 0) !== next) return false;
  next *= graph.ne(tensor, 0) / block;
  for (let dimension = 1; dimension < 4; dimension += 1) {
    if (dimension > free) {
      if (graph.ne(tensor, dimension) !== 1 && graph.nb(tensor, dimension) !== next) return false;
      next *= graph.ne(tensor, dimension);
    } else {
      next = graph.ne(tensor, dimension) * graph.nb(tensor, dimension);
    }
  }
  return true;
}
