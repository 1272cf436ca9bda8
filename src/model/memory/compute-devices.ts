import type { ModelShape } from '../shape.ts';
import type { ModelTensor } from '../tensors.ts';
import { bytes, type Bytes } from '../../units/index.ts';
import type { ComputeBackend } from './compute-backends.ts';
import { graphBytes } from './graph/graph-bytes.ts';
import type { GraphPlacement } from './graph/graph-scope.ts';
import { deviceCount, deviceOfLayer, isOnGpu, type Placement } from './placement.ts';
import type { ResolvedContext } from './settings.ts';

interface PlacedModel {
  readonly shape: ModelShape;
  readonly tensors: readonly ModelTensor[];
}

/** Compute buffers of every GPU and of the system's memory. */
export interface PlacedComputeBytes {
  readonly devices: readonly Bytes[];
  readonly host: Bytes;
}

/** The compute buffers by GPU: those of the model's graph, whatever is left to the system's memory. */
export function placedComputeBytes(
  { shape, tensors, fileLayers }: PlacedModel & { readonly fileLayers: number },
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

/** Of the same graph with one word instead of all, so without the tensor that only the GPU with the head has. */
export function bytesWithoutLogits(
  { shape, tensors }: PlacedModel,
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
