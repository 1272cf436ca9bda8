import { isOnGpu, placeWeights, type Placement } from './weights.ts';
import type { ComputeBackend } from './compute-backends.ts';
import { graphBytes } from './graph/graph-bytes.ts';
import { kvCaches, refusalOf, type KvCache, type Unsupported } from './kv-state.ts';
import { recurrentLayers } from './recurrent-state.ts';
import { resolveContext, type ContextMemorySettings, type ResolvedContext } from './settings.ts';
import type { ModelShape } from '../shape.ts';
import type { ModelTensor } from '../tensors.ts';
import { bytes, type Bytes } from '../../units/index.ts';

/** What memory is used for. */
export type MemoryKind = 'weights' | 'kv-cache' | 'recurrent-state' | 'compute' | 'output';

/** Bytes of one kind on the device and in the system's memory. Without a GPU all of it is the system's. */
export interface MemoryLine {
  readonly kind: MemoryKind;
  readonly deviceBytes: Bytes;
  readonly hostBytes: Bytes;
}

export interface MemoryBreakdown {
  readonly lines: readonly MemoryLine[];
  readonly deviceBytes: Bytes;
  readonly hostBytes: Bytes;
  readonly totalBytes: Bytes;
  /** Weights that are rearranged for the processor, a part of the weights in the system's memory. */
  readonly repackedBytes: Bytes;
  readonly context: ResolvedContext;
  readonly caches: readonly KvCache[];
}

/** A model whose tensors have been given their types. */
export interface ModelWeights {
  readonly shape: ModelShape;
  readonly tensors: readonly ModelTensor[];
}

/** Logits are F32 (`output_reserve`, src/llama-context.cpp). */
const LOGIT_BYTES = 4;

/** What a model and a context take, by kind and place; or why the engine refuses them. */
export function memoryOf(
  { shape, tensors }: ModelWeights,
  settings: ContextMemorySettings,
  placement: Placement,
  backend: ComputeBackend,
): MemoryBreakdown | Unsupported {
  const context = resolveContext(settings);
  const refusal = refusalOf(shape, context);
  if (refusal !== null) return refusal;
  const hasGpu = !backend.isProcessor;
  const weights = placeWeights(shape, tensors, placement, backend);
  const caches = kvCaches(shape, context);
  const onGpu = (layer: number): boolean => hasGpu && isOnGpu(layer, shape.layers, placement);
  const cached = caches.flatMap(({ layers }) =>
    layers.map(({ layer, keyBytes, valueBytes }) => ({ layer, bytes: bytes(keyBytes + valueBytes) })),
  );
  const compute = graphBytes(shape, tensors, context, backend);
  const lines: MemoryLine[] = [
    {
      kind: 'weights',
      deviceBytes: weights.device,
      hostBytes: bytes(weights.host + weights.repacked),
    },
    { kind: 'kv-cache', ...byPlace(cached, onGpu) },
    { kind: 'recurrent-state', ...byPlace(recurrentLayers(shape, context), onGpu) },
    hasGpu
      ? { kind: 'compute', deviceBytes: bytes(compute.device), hostBytes: bytes(compute.host) }
      : { kind: 'compute', deviceBytes: bytes(0), hostBytes: bytes(compute.device) },
    {
      kind: 'output',
      deviceBytes: bytes(0),
      hostBytes: bytes(shape.vocabularySize * context.sequences * LOGIT_BYTES),
    },
  ];
  const deviceBytes = bytes(lines.reduce((sum, line) => sum + line.deviceBytes, 0));
  const hostBytes = bytes(lines.reduce((sum, line) => sum + line.hostBytes, 0));
  return {
    lines,
    deviceBytes,
    hostBytes,
    totalBytes: bytes(deviceBytes + hostBytes),
    repackedBytes: weights.repacked,
    context,
    caches,
  };
}

function byPlace(
  layers: readonly { readonly layer: number; readonly bytes: Bytes }[],
  onGpu: (layer: number) => boolean,
): Pick<MemoryLine, 'deviceBytes' | 'hostBytes'> {
  let device = 0;
  let host = 0;
  for (const { layer, bytes: size } of layers) {
    if (onGpu(layer)) device += size;
    else host += size;
  }
  return { deviceBytes: bytes(device), hostBytes: bytes(host) };
}
