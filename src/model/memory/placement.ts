/** Where the parts of a model lie. */
export interface Placement {
  /**
   * Layers on the GPUs, counted from the last, the output counting as one more (`-ngl`); null: all. Without a GPU it
   * does not matter.
   */
  readonly gpuLayers: number | null;
  /** Layers whose experts stay in the system's memory, counted from the first (`-ncmoe`). */
  readonly cpuMoeLayers: number;
  /**
   * Shares in which the GPUs get those layers, one for each (`-ts`), which the engine takes from the memory that each
   * has free when it is not told; absent: one GPU.
   */
  readonly deviceShares?: readonly number[];
}

export const ON_DEVICE: Placement = { gpuLayers: null, cpuMoeLayers: 0 };

/** How many GPUs a placement has. */
export const deviceCount = ({ deviceShares }: Placement): number => deviceShares?.length ?? 1;

/** How many layers an engine counts that has the output as one more, and how many of them are on GPUs. */
function offloadedFrom(layers: number, { gpuLayers }: Placement): { first: number; count: number } {
  const all = layers + 1;
  const count = Math.min(gpuLayers ?? all, all);
  return { first: all - count, count };
}

/**
 * Whether the layer lies on a GPU: `i_gpu_start` of `llama_model_base::load_tensors`, src/llama-model.cpp. The
 * output counts as the layer after the last.
 */
export function isOnGpu(layer: number, layers: number, placement: Placement): boolean {
  return layer >= offloadedFrom(layers, placement).first;
}

/**
 * The GPU on which the layer lies, counted from 0; null: it is in the system's memory. The shares are summed up, and
 * a layer goes to the first GPU whose sum is above the part of the layers that come before it, in single precision
 * (`get_layer_buft_list` of `load_tensors`, src/llama-model.cpp, release v0.5.0).
 */
export function deviceOfLayer(layer: number, layers: number, placement: Placement): number | null {
  const { first, count } = offloadedFrom(layers, placement);
  if (layer < first) return null;
  if (placement.deviceShares === undefined) return 0;
  const bounds = shareBounds(placement.deviceShares);
  const before = Math.fround((layer - first) / count);
  const device = bounds.findIndex((bound) => bound > before);
  return device === -1 ? bounds.length - 1 : device;
}

/** The sums of the shares from the first on, as parts of the whole. */
function shareBounds(shares: readonly number[]): number[] {
  let sum = 0;
  const sums = shares.map((share) => (sum = Math.fround(sum + Math.fround(share))));
  return sums.map((each) => Math.fround(each / sum));
}
