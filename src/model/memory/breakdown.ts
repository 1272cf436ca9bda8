import { placeWeights } from './weights.ts';
import type { ComputeBackend } from './compute-backends.ts';
import { bytesWithoutLogits, placedComputeBytes } from './compute-devices.ts';
import { draftCache, layersOfFile, loadedTensors, statesOfSequence } from './drafting.ts';
import { kvCaches, refusalOf, type KvCache, type Unsupported } from './kv-state.ts';
import { recurrentLayers } from './recurrent-state.ts';
import { deviceCount, deviceOfLayer, type Placement } from './placement.ts';
import { resolveContext, type ContextMemorySettings, type ResolvedContext } from './settings.ts';
import type { ModelShape } from '../shape.ts';
import type { ModelTensor } from '../tensors.ts';
import { bytes, type Bytes } from '../../units/index.ts';

/** What memory is used for. */
export type MemoryKind =
  | 'weights'
  | 'kv-cache'
  | 'recurrent-state'
  | 'compute'
  | 'output'
  | 'draft-cache'
  | 'draft-compute';

/** Bytes of one kind on the GPUs and in the system's memory. Without a GPU all of it is the system's. */
export interface MemoryLine {
  readonly kind: MemoryKind;
  /** Of all GPUs together. */
  readonly deviceBytes: Bytes;
  /** Of each GPU. */
  readonly eachDeviceBytes: readonly Bytes[];
  readonly hostBytes: Bytes;
}

export interface MemoryBreakdown {
  readonly lines: readonly MemoryLine[];
  readonly deviceBytes: Bytes;
  /** Of each GPU, in the order of the placement's shares; none without a GPU. */
  readonly eachDeviceBytes: readonly Bytes[];
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
  const devices = backend.isProcessor ? 0 : deviceCount(placement);
  const layers = layersOfFile(shape, tensors);
  const loaded = loadedTensors(shape, tensors, context);
  const weights = placeWeights({ ...shape, layers }, loaded, placement, backend);
  const caches = kvCaches(shape, context);
  const byPlace = (kind: MemoryKind, held: readonly LayerBytes[]): MemoryLine => {
    const each = Array<number>(devices).fill(0);
    let host = 0;
    for (const { layer, bytes: size } of held) {
      const device = devices === 0 ? null : deviceOfLayer(layer, layers, placement);
      if (device === null) host += size;
      else each[device] = (each[device] ?? 0) + size;
    }
    return line(kind, each, host);
  };
  const states = recurrentLayers(shape, context).map((each) => ({
    ...each,
    bytes: bytes(each.bytes * statesOfSequence(shape, context)),
  }));
  const draft = draftCache(shape, layers, context);
  const compute = placedComputeBytes(
    { shape, tensors: loaded, fileLayers: layers },
    context,
    placement,
    backend,
    weights.lent,
  );
  const lines: MemoryLine[] = [
    line('weights', weights.devices, weights.host + weights.repacked),
    byPlace('kv-cache', caches.flatMap(cachedBytes)),
    byPlace('recurrent-state', states),
    line('compute', compute.devices, compute.host),
    line('output', Array<number>(devices).fill(0), shape.vocabularySize * context.sequences * LOGIT_BYTES),
  ];
  if (draft !== null) {
    const graph = bytesWithoutLogits({ shape, tensors: loaded }, context, backend);
    // It runs where the layers lie that it consists of, behind the model's last.
    const place = devices === 0 ? null : deviceOfLayer(shape.layers, layers, placement);
    lines.push(
      byPlace('draft-cache', cachedBytes(draft)),
      line(
        'draft-compute',
        Array.from({ length: devices }, (_, device) => (device === place ? graph : 0)),
        place === null ? graph : 0,
      ),
    );
  }
  const eachDeviceBytes = Array.from({ length: devices }, (_, device) =>
    bytes(lines.reduce((sum, { eachDeviceBytes: each }) => sum + (each[device] ?? 0), 0)),
  );
  const deviceBytes = bytes(sumOf(eachDeviceBytes));
  const hostBytes = bytes(lines.reduce((sum, each) => sum + each.hostBytes, 0));
  return {
    lines,
    deviceBytes,
    eachDeviceBytes,
    hostBytes,
    totalBytes: bytes(deviceBytes + hostBytes),
    repackedBytes: weights.repacked,
    context,
    caches,
  };
}

interface LayerBytes {
  readonly layer: number;
  readonly bytes: Bytes;
}

const cachedBytes = ({ layers }: KvCache): LayerBytes[] =>
  layers.map(({ layer, keyBytes, valueBytes }) => ({ layer, bytes: bytes(keyBytes + valueBytes) }));

const sumOf = (values: readonly number[]): number => values.reduce((sum, each) => sum + each, 0);

function line(kind: MemoryKind, eachDevice: readonly number[], host: number): MemoryLine {
  return {
    kind,
    deviceBytes: bytes(sumOf(eachDevice)),
    eachDeviceBytes: eachDevice.map(bytes),
    hostBytes: bytes(host),
  };
}
