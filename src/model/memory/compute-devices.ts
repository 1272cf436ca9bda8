import type { ModelShape } from '../shape.ts';
import type { ModelTensor } from '../tensors.ts';
import { bytes, type Bytes } from '../../units/index.ts';
import type { ComputeBackend } from './compute-backends.ts';
import { graphBytes } from './graph/graph-bytes.ts';
import type { GraphPlacement } from './graph/graph-scope.ts';
import { PIPELINE_COPIES } from './graph/splits.ts';
import { draftCache } from './drafting.ts';
import { widestValueRow } from './kv-state.ts';
import { deviceCount, deviceOfLayer, isOnGpu, type Placement } from './placement.ts';
import type { ResolvedContext } from './settings.ts';

interface PlacedModel {
  readonly shape: ModelShape;
  readonly tensors: readonly ModelTensor[];
  /** Layers of the file. */
  readonly fileLayers: number;
}

/** Compute buffers of every GPU and of the system's memory. */
export interface PlacedComputeBytes {
  readonly devices: readonly Bytes[];
  readonly host: Bytes;
}

/** The compute buffers by GPU: those of the model's graph, whatever is left to the system's memory. */
export function placedComputeBytes(
  { shape, tensors, fileLayers }: PlacedModel,
  context: ResolvedContext,
  placement: Placement,
  backend: ComputeBackend,
): PlacedComputeBytes {
  if (backend.isProcessor) {
    const { devices } = graphBytes(shape, tensors, context, backend);
    return { devices: [], host: bytes(devices[0] ?? 0) };
  }
  const { devices, host } = graphBytes(shape, tensors, context, backend, placementOf(fileLayers, placement));
  return { devices: devices.map(bytes), host: bytes(host) };
}

function placementOf(fileLayers: number, placement: Placement): GraphPlacement {
  const { gpuLayers, cpuMoeLayers } = placement;
  const layers = gpuLayers === null ? 0 : Math.max(0, fileLayers + 1 - gpuLayers);
  const count = deviceCount(placement);
  const ofLayer =
    count === 1
      ? []
      : Array.from(
          { length: fileLayers + 1 },
          (_, layer) => deviceOfLayer(layer, fileLayers, placement) ?? 0,
        );
  return {
    layers: Math.min(layers, fileLayers),
    expertLayers: cpuMoeLayers,
    head: !isOnGpu(fileLayers, fileLayers, placement),
    // `pipeline_parallel`, src/llama-context.cpp: whether or not all GPUs have layers.
    devices: { count, ofLayer, pipelined: count > 1 && layers === 0 && cpuMoeLayers === 0 },
  };
}

/** Activations are F32; masks F16 with flash attention, else F32 (`build_attn_inp_kv`, src/llama-graph.cpp): bytes. */
const ACTIVATION_BYTES = 4;
const MASK_BYTES = { flashAttention: 2, plain: 4 } as const;
/** Of a token: its number, up to four positions and its row of the logits as I32, its cell for the keys as I64: bytes. */
const NUMBER_BYTES = 6 * 4 + 8;
/** Cells for values are I64, one for a row with flash attention, else one for each value. */
const CELL_BYTES = 8;

/**
 * The compute buffers of the context that drafts, from above: on the GPU that has its layers what the whole model's
 * graph needs without its logits. Its inputs are the last layer's results, which come from the system's memory as
 * the embeddings do, and the masks; GPUs that work on several batches at once hold copies of all of that.
 */
export function draftComputeBytes(
  model: PlacedModel,
  context: ResolvedContext,
  placement: Placement,
  backend: ComputeBackend,
): PlacedComputeBytes {
  const { shape, fileLayers } = model;
  // Only the model's own context keeps states to go back to.
  const graph = bytesWithoutLogits(model, { ...context, draftsFurtherTokens: false }, backend);
  if (backend.isProcessor) return { devices: [], host: bytes(graph) };
  const { count, pipelined } = placementOf(fileLayers, placement).devices;
  const place = deviceOfLayer(shape.layers, fileLayers, placement);
  const tokens = Math.min(context.contextTokens, context.ubatchTokens);
  const stream = shape.embeddingLength * tokens * ACTIVATION_BYTES;
  const cells = draftCache(shape, fileLayers, context)?.cells ?? 0;
  const mask = cells * tokens * (context.flashAttention ? MASK_BYTES.flashAttention : MASK_BYTES.plain);
  const values = context.flashAttention ? 1 : widestValueRow(shape);
  const inputs = stream + mask + tokens * (NUMBER_BYTES + CELL_BYTES * values);
  const copies = pipelined ? PIPELINE_COPIES : 1;
  const onDevice = graph + (pipelined ? copies * (inputs + stream) : 0);
  return {
    devices: Array.from({ length: count }, (_, device) => bytes(device === place ? onDevice : 0)),
    host: bytes(copies * inputs + stream + (place === null ? graph : 0)),
  };
}

/** Of the same graph with one word instead of all, so without the tensor that only the GPU with the head has. */
function bytesWithoutLogits(
  { shape, tensors }: Pick<PlacedModel, 'shape' | 'tensors'>,
  context: ResolvedContext,
  backend: ComputeBackend,
): number {
  const words = tensors.map((tensor) =>
    tensor.role === 'output' || tensor.role === 'token-embedding'
      ? { ...tensor, dims: tensor.dims.slice(0, 1) }
      : tensor,
  );
  return graphBytes({ ...shape, vocabularySize: 1 }, words, context, backend).devices[0] ?? 0;
}
