import { placeWeights, type WeightBytes } from './weights.ts';
import type { ComputeBackend } from './compute-backends.ts';
import { draftComputeBytes, placedComputeBytes } from './compute-devices.ts';
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
  | 'draft-compute'
  | 'projector';

/** Bytes of one kind on the GPUs and in the system's memory. Without a GPU all of it is the system's. */
export interface MemoryLine {
  readonly kind: MemoryKind;
  /** Of all GPUs together. */
  readonly deviceBytes: Bytes;
  /** Of each GPU. */
  readonly eachDeviceBytes: readonly Bytes[];
  readonly hostBytes: Bytes;
}

export interface MemoryBreakdown extends PlacedBytes {
  readonly lines: readonly MemoryLine[];
  /** Weights that are rearranged for the processor, a part of the weights in the system's memory. */
  readonly repackedBytes: Bytes;
  readonly context: ResolvedContext;
  readonly caches: readonly KvCache[];
}

/** A model whose tensors have been given their types. */
export interface ModelWeights {
  readonly shape: ModelShape;
  readonly tensors: readonly ModelTensor[];
  /** Weights of the projector that is loaded beside it (`--mmproj`), onto the first GPU; absent: none. */
  readonly projectorBytes?: Bytes;
}

/** Logits are F32 (`output_reserve`, src/llama-context.cpp). */
const LOGIT_BYTES = 4;

/** Bytes by place, of whatever kind. */
export interface PlacedBytes {
  /** Of all GPUs together. */
  readonly deviceBytes: Bytes;
  /** Of each GPU, in the order of the placement's shares; none without a GPU. */
  readonly eachDeviceBytes: readonly Bytes[];
  readonly hostBytes: Bytes;
  readonly totalBytes: Bytes;
}

/** What a model and a context take, by kind and place; or why the engine refuses them. */
export function memoryOf(
  model: ModelWeights,
  settings: ContextMemorySettings,
  placement: Placement,
  backend: ComputeBackend,
): MemoryBreakdown | Unsupported {
  const held = heldMemory(model, settings, placement, backend);
  if ('unsupported' in held) return held;
  const { shape } = model;
  const { context, layers, loaded, devices, weights, caches } = held;
  const fileLayers = layers;
  const compute = placedComputeBytes({ shape, tensors: loaded, fileLayers }, context, placement, backend);
  const lines = [
    ...held.lines,
    line('compute', compute.devices, compute.host),
    line('output', Array<number>(devices).fill(0), shape.vocabularySize * context.sequences * LOGIT_BYTES),
    ...held.draftLines,
  ];
  if (held.draftLines.length > 0) {
    const draft = draftComputeBytes({ shape, tensors: loaded, fileLayers }, context, placement, backend);
    lines.push(line('draft-compute', draft.devices, draft.host));
  }
  return { lines, ...together(lines, devices), repackedBytes: weights.repacked, context, caches };
}

/**
 * What a model holds before anything is computed, weights, caches and states: less than {@link memoryOf}, and quicker to
 * say; or why the engine refuses.
 */
export function leastMemoryOf(
  model: ModelWeights,
  settings: ContextMemorySettings,
  placement: Placement,
  backend: ComputeBackend,
): PlacedBytes | Unsupported {
  const held = heldMemory(model, settings, placement, backend);
  return 'unsupported' in held ? held : together(held.lines, held.devices);
}

interface HeldMemory {
  readonly context: ResolvedContext;
  /** Of the file, those that predict further tokens among them. */
  readonly layers: number;
  readonly loaded: readonly ModelTensor[];
  /** GPUs. */
  readonly devices: number;
  readonly weights: WeightBytes;
  readonly caches: readonly KvCache[];
  readonly lines: readonly MemoryLine[];
  /** Of the context that drafts; none where nothing is drafted. */
  readonly draftLines: readonly MemoryLine[];
}

function heldMemory(
  { shape, tensors, projectorBytes }: ModelWeights,
  settings: ContextMemorySettings,
  placement: Placement,
  backend: ComputeBackend,
): HeldMemory | Unsupported {
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
  return {
    context,
    layers,
    loaded,
    devices,
    weights,
    caches,
    lines: [
      line('weights', weights.devices, weights.host + weights.repacked),
      byPlace('kv-cache', caches.flatMap(cachedBytes)),
      byPlace('recurrent-state', states),
      ...(projectorBytes === undefined ? [] : [projectorLine(projectorBytes, devices)]),
    ],
    draftLines: draft === null ? [] : [byPlace('draft-cache', cachedBytes(draft))],
  };
}

function together(lines: readonly MemoryLine[], devices: number): PlacedBytes {
  const eachDeviceBytes = Array.from({ length: devices }, (_, device) =>
    bytes(lines.reduce((sum, { eachDeviceBytes: each }) => sum + (each[device] ?? 0), 0)),
  );
  const deviceBytes = bytes(sumOf(eachDeviceBytes));
  const hostBytes = bytes(lines.reduce((sum, each) => sum + each.hostBytes, 0));
  return { deviceBytes, eachDeviceBytes, hostBytes, totalBytes: bytes(deviceBytes + hostBytes) };
}

interface LayerBytes {
  readonly layer: number;
  readonly bytes: Bytes;
}

const cachedBytes = ({ layers }: KvCache): LayerBytes[] =>
  layers.map(({ layer, keyBytes, valueBytes }) => ({ layer, bytes: bytes(keyBytes + valueBytes) }));

const sumOf = (values: readonly number[]): number => values.reduce((sum, each) => sum + each, 0);

const projectorLine = (size: Bytes, devices: number): MemoryLine =>
  line(
    'projector',
    Array.from({ length: devices }, (_, device) => (device === 0 ? size : 0)),
    devices === 0 ? size : 0,
  );

function line(kind: MemoryKind, eachDevice: readonly number[], host: number): MemoryLine {
  return {
    kind,
    deviceBytes: bytes(sumOf(eachDevice)),
    eachDeviceBytes: eachDevice.map(bytes),
    hostBytes: bytes(host),
  };
}
