import type { ModelShape } from '../shape.ts';
import type { ModelTensor } from '../tensors.ts';
import { bytes, type Bytes } from '../../units/index.ts';
import type { ComputeBackend } from './compute-backends.ts';
import { graphBytes } from './graph/graph-bytes.ts';
import type { KeptBack } from './graph/graph-scope.ts';
import { kvCaches } from './kv-state.ts';
import { deviceCount, deviceOfLayer, isOnGpu, type Placement } from './placement.ts';
import type { ResolvedContext } from './settings.ts';
import type { LentWeights } from './weights.ts';

interface PlacedModel {
  readonly shape: ModelShape;
  readonly tensors: readonly ModelTensor[];
}

/** Compute buffers of every GPU and of the system's memory. */
export interface PlacedComputeBytes {
  readonly devices: readonly Bytes[];
  readonly host: Bytes;
}

/** `GGML_SCHED_MAX_COPIES`, ggml/src/ggml-backend.cpp: batches that several GPUs work on at once. */
const PIPELINE_COPIES = 4;

/** Activations are F32, masks F16 with flash attention (`build_attn_inp_kv`, src/llama-graph.cpp): bytes. */
const ACTIVATION_BYTES = 4;
const MASK_BYTES = { flashAttention: 2, plain: 4 } as const;

/**
 * The compute buffers by GPU. With one GPU they are those of the model's graph, whatever is left to the system's memory.
 * Of several GPUs they are estimated from the graph on one:
 *
 * - A GPU without the head needs what the graph needs without its logits.
 * - Where all layers are on several GPUs, they work on four batches at once: every GPU has four copies of the masks and
 *   of the stream that enters it, which are never freed, and the system's memory has three more of the masks
 *   (`pipeline_parallel`, src/llama-context.cpp; `ggml_backend_sched_split_graph`, ggml/src/ggml-backend.cpp).
 * - A prompt's products with weights that lie in the system's memory are computed on the first GPU, which is lent one
 *   of them at a time (`op_offload`).
 */
export function placedComputeBytes(
  { shape, tensors, fileLayers }: PlacedModel & { readonly fileLayers: number },
  context: ResolvedContext,
  placement: Placement,
  backend: ComputeBackend,
  loans: LentWeights,
): PlacedComputeBytes {
  const count = deviceCount(placement);
  if (count === 1 && !backend.isProcessor) {
    const { device, host } = graphBytes(shape, tensors, context, backend, keptBackOf(fileLayers, placement));
    return { devices: [bytes(device)], host: bytes(host) };
  }
  const whole = graphBytes(shape, tensors, context, backend);
  if (backend.isProcessor) return { devices: [], host: bytes(whole.device) };
  const lent = lentBytes(loans, backend);
  const withoutLogits = bytesWithoutLogits({ shape, tensors }, context, backend);
  const used = usedDevices(fileLayers, placement);
  const first = used[0] ?? 0;
  const head = deviceOfLayer(fileLayers, fileLayers, placement) ?? first;
  const pipelined = used.length > 1 && isOnGpu(0, fileLayers, placement) && placement.cpuMoeLayers === 0;
  const masks = maskBytes(shape, context);
  const stream = shape.embeddingLength * batchTokens(context) * ACTIVATION_BYTES;
  const devices = Array.from({ length: count }, (_, device) => {
    if (device !== first && !used.includes(device)) return bytes(0);
    const layers = withoutLogits + (device === first ? lent : 0);
    const logits = device === head ? whole.device + loans.headBytes : 0;
    // What enters the first is the embeddings; every other is handed the stream and what is still to be added to it.
    const entering = device === first ? stream : 2 * stream;
    const copies = pipelined ? PIPELINE_COPIES * (entering + masks) : 0;
    return bytes(Math.max(layers, logits) + copies);
  });
  return { devices, host: bytes(whole.host + (pipelined ? (PIPELINE_COPIES - 1) * masks : 0)) };
}

/** What a single GPU leaves to the system's memory. */
function keptBackOf(fileLayers: number, placement: Placement): KeptBack {
  const { gpuLayers, cpuMoeLayers } = placement;
  const layers = gpuLayers === null ? 0 : Math.max(0, fileLayers + 1 - gpuLayers);
  return {
    layers: Math.min(layers, fileLayers),
    expertLayers: cpuMoeLayers,
    head: !isOnGpu(fileLayers, fileLayers, placement),
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
  return graphBytes({ ...shape, vocabularySize: 1 }, words, context, backend).device;
}

/** One matrix at a time; those that fill a chunk of the buffer get chunks of their own, which are kept. */
function lentBytes({ layerBytes }: LentWeights, { device }: ComputeBackend): number {
  const [largest, next] = layerBytes;
  if (largest === undefined) return 0;
  return largest > device.maxChunkBytes ? largest + (next ?? 0) : largest;
}

/** The GPUs that have a layer or the head, in their order. */
function usedDevices(layers: number, placement: Placement): number[] {
  const used = new Set<number>();
  for (let layer = 0; layer <= layers; layer += 1) {
    const device = deviceOfLayer(layer, layers, placement);
    if (device !== null) used.add(device);
  }
  return [...used].sort((a, b) => a - b);
}

const batchTokens = ({ contextTokens, ubatchTokens }: ResolvedContext): number =>
  Math.min(contextTokens, ubatchTokens);

/** One mask for each cache that tokens attend to. */
function maskBytes(shape: ModelShape, context: ResolvedContext): number {
  const each = context.flashAttention ? MASK_BYTES.flashAttention : MASK_BYTES.plain;
  return kvCaches(shape, context).reduce((sum, { cells }) => sum + cells * batchTokens(context) * each, 0);
}
