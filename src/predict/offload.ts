import type { CatalogDevice } from '../catalog/index.ts';
import { isExpertLayer, isOnGpu, type ModelShape, type Placement } from '../model/index.ts';
import { parseBackend, type Backend, type BackendFamily } from './backend.ts';
import { predictedDevice, type PredictedDevice } from './device.ts';
import { workOf, type LayerShare, type ModelWork } from './work.ts';

/** The processor beside a GPU, in whose memory layers or experts may stay. */
export interface Host {
  readonly device: PredictedDevice;
  readonly backend: Backend;
  /** What the link to the GPU carries one way; null: not published, or one memory for both. */
  readonly linkBytesPerSecond: number | null;
}

/** What of a model stays with the processor, and what does not. */
export interface OffloadedModel {
  readonly gpu: ModelWork;
  readonly host: ModelWork;
  /** How often the values of a token change sides on their way through the layers. */
  readonly crossings: number;
  /** Values that change sides at once. */
  readonly activationLength: number;
}

/** What goes over one lane of PCI Express in a second, by generation, after its 128b/130b code (PCI-SIG). */
const LANE_BYTES_PER_SECOND: Readonly<Record<string, number>> = {
  '3.0': 0.985e9,
  '4.0': 1.969e9,
  '5.0': 3.938e9,
  '6.0': 7.563e9,
};

/** `PCIe 4.0 x16` as bytes per second one way; null for other links. */
export function linkOf(text: string | null): number | null {
  const [, generation = '', lanes] = /^PCIe (\d\.0) x(\d+)$/.exec(text ?? '') ?? [];
  const lane = Object.hasOwn(LANE_BYTES_PER_SECOND, generation)
    ? LANE_BYTES_PER_SECOND[generation]
    : undefined;
  return lane === undefined ? null : lane * Number(lanes);
}

/**
 * The processor beside a GPU of the catalogue: of a chip with both its own cores, else the one that is named.
 * @returns null when none is named, or no bandwidth of it is published.
 */
export function hostOf(device: CatalogDevice, named: CatalogDevice | null): Host | null {
  const own = device.kind !== 'discrete-gpu';
  const record = own ? device : named;
  const processor = record === null ? null : predictedDevice(record, 1, 'cpu');
  const backend = processor === null ? null : parseBackend('cpu', processor.vendor, 'cpu');
  return processor === null || backend === null
    ? null
    : { device: processor, backend, linkBytesPerSecond: own ? null : linkOf(device.pcie) };
}

/** Whether a placement keeps a part of a model with the processor. */
export function isPartial(shape: ModelShape, placement: Placement): boolean {
  return !isOnGpu(0, shape.layers, placement) || (placement.cpuMoeLayers > 0 && shape.experts !== null);
}

/** Divides the work of a model as llama.cpp places its tensors (`load_tensors`, src/llama-model.cpp v0.5.0). */
export function offloaded(shape: ModelShape, placement: Placement): OffloadedModel {
  const whole = (layer: number): boolean => !isOnGpu(layer, shape.layers, placement);
  const experts = (layer: number): boolean => layer < placement.cpuMoeLayers && isExpertLayer(shape, layer);
  const onGpu = (layer: number): LayerShare =>
    whole(layer) ? 'none' : experts(layer) ? 'without-experts' : 'all';
  const onHost = (layer: number): LayerShare => (whole(layer) ? 'all' : experts(layer) ? 'experts' : 'none');
  // The output counts as the layer after the last.
  const head = isOnGpu(shape.layers, shape.layers, placement);
  // From the last layer of the processor to the GPU once, and to each layer's experts and back.
  let crossings = whole(0) && head ? 1 : 0;
  for (let layer = 0; layer < shape.layers; layer += 1) if (onHost(layer) === 'experts') crossings += 2;
  return {
    gpu: workOf(shape, { shareOf: onGpu, head }),
    host: workOf(shape, { shareOf: onHost, head: !head }),
    crossings,
    activationLength: shape.embeddingLength,
  };
}

/** Backends that take over the products of large batches with weights in the system's memory (`offload_op`). */
const OFFLOADING: ReadonlySet<BackendFamily> = new Set(['cuda', 'metal', 'rocm', 'sycl', 'vulkan']);
/** The smallest batch for which they do (`GGML_OP_OFFLOAD_MIN_BATCH`, ggml-cuda.cu and its like, v0.5.0). */
const SMALLEST_OFFLOADED_BATCH = 32;

/** Whether the weights of the processor are sent to the GPU for a batch, so that all of it is computed there. */
export const sendsWeights = (family: BackendFamily, batch: number): boolean =>
  OFFLOADING.has(family) && batch >= SMALLEST_OFFLOADED_BATCH;

/** Of what a link could carry large copies reach this: 25 GB/s of PCIe 4.0 x16, 51 GB/s of 5.0 (kekzl/imp#1377). */
const LINK_EFFICIENCY = 0.8;
/**
 * Files are mapped, and copies of mapped pages go through the processor at 11 to 18 GB/s
 * (turboderp-org/exllamav3#341; llama.cpp#25859 gains a fifth on prompts with pages that need no such copy).
 */
const MAPPED_COPY_BYTES_PER_SECOND = 14e9;
/** To submit a copy takes 5 to 7 us (arXiv:2602.21548, section 5.2), and to wait for it the same again. */
const CROSSING_SECONDS = 12e-6;
/** Activations are f32. */
const ACTIVATION_BYTES = 4;

/** What moves between GPU and processor in a pass. */
export interface Traffic {
  readonly weightBytes: number;
  readonly crossings: number;
  /** Tokens times values. */
  readonly activations: number;
}

/** Seconds that the traffic takes, and that it takes at least. Copies wait for products and products for copies. */
export function trafficSeconds(
  { weightBytes, crossings, activations }: Traffic,
  host: Host,
): { readonly expected: number; readonly least: number } {
  const moved = weightBytes + crossings * activations * ACTIVATION_BYTES;
  const link = host.linkBytesPerSecond ?? host.device.bandwidthBytesPerSecond;
  return {
    expected:
      moved / Math.min(MAPPED_COPY_BYTES_PER_SECOND, LINK_EFFICIENCY * link) + crossings * CROSSING_SECONDS,
    least: moved / link,
  };
}
