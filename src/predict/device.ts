import { bandwidthOf, computesOnCores, peakOf, type CatalogDevice } from '../catalog/index.ts';
import type { BackendFamily } from './backend.ts';

/** What products of the engine's own reached with weights of one type. */
export interface MeasuredRate {
  /** ggml's name: `Q4_K`. */
  readonly type: string;
  readonly flopPerSecond: number;
  readonly bytesPerSecond: number;
}

/** What attention to a token in the cache takes a new token, for each head of the cache. */
export interface MeasuredAttention {
  readonly headLength: number;
  readonly keyValueHeads: number;
  /** Of the first query head that reads the row, and of every further one. */
  readonly firstHeadSeconds: number;
  readonly furtherHeadSeconds: number;
}

/** What a prediction needs to know of a device. Rates are those of one device, of several alike with `count`. */
export interface PredictedDevice {
  /** The id of the device, without a number of copies: the unit in which the model learns. */
  readonly id: string;
  /** Devices of this kind that share the layers of the model. */
  readonly count: number;
  readonly unit: 'cpu' | 'gpu';
  /** Lower case. */
  readonly vendor: string;
  /** Devices that behave alike: the architecture family of the vendor. */
  readonly deviceClass: string;
  /** Part of a processor that shares its memory with it. */
  readonly integrated: boolean;
  readonly bandwidthBytesPerSecond: number;
  /** Dense peaks by data type, in operations per second; null where no source says. */
  readonly peaks: {
    readonly fp32: number | null;
    readonly fp16: number | null;
    readonly int8: number | null;
  };
  /** Of a device that was measured instead of looked up: its bandwidth and peaks are the fastest products seen. */
  readonly measured?: readonly MeasuredRate[];
  /** Of a processor that was measured: attention alone, by the length of its heads. */
  readonly measuredAttention?: readonly MeasuredAttention[];
}

/**
 * A device of the catalogue as predictions see it; null when no bandwidth of it is published.
 * @param unit - which part of a chip works that has processor cores and a GPU.
 */
export function predictedDevice(
  device: CatalogDevice,
  count: number,
  unit: 'cpu' | 'gpu',
): PredictedDevice | null {
  const bandwidth = bandwidthOf(device);
  if (bandwidth === null) return null;
  const peak = (type: 'fp32' | 'fp16' | 'int8'): number | null => peakOf(device, type)?.flopPerSecond ?? null;
  // The peaks of a chip with a GPU are the GPU's; a board without one of use states its cores'.
  const ofCores = unit === 'cpu' && device.kind !== 'cpu';
  const hasOwnPeaks = !ofCores || computesOnCores(device);
  const half = Math.max(peak('fp16') ?? 0, peakOf(device, 'fp16', 'fp16')?.flopPerSecond ?? 0);
  const peaks = hasOwnPeaks
    ? { fp32: peak('fp32'), fp16: half > 0 ? half : null, int8: peak('int8') }
    : { fp32: null, fp16: null, int8: null };
  return {
    id: ofCores ? `${device.id}-cores` : device.id,
    count,
    unit,
    vendor: device.vendor.toLowerCase(),
    deviceClass: ofCores ? 'cores' : device.architecture.id,
    integrated: device.kind === 'integrated-gpu',
    bandwidthBytesPerSecond: bandwidth.bytesPerSecond,
    peaks: unit === 'cpu' ? vectorPeaks(peaks.fp32) : peaks,
  };
}

/** Products of bytes that AVX-VNNI and its like make in the time of one product of floats (`vpdpbusd`). */
const BYTE_PRODUCTS = 4;

function vectorPeaks(fp32: number | null): PredictedDevice['peaks'] {
  return { fp32, fp16: null, int8: fp32 === null ? null : BYTE_PRODUCTS * fp32 };
}

/** The roofs that a term of a prediction can stand under. */
export interface Roofs {
  readonly bandwidthBytesPerSecond: number;
  /** Of matrix products; null: no peak of the device is known. */
  readonly matmulFlopPerSecond: number | null;
  readonly matmulType: 'INT8' | 'FP16' | 'FP32' | null;
  /** Of the products of flash attention. */
  readonly attentionFlopPerSecond: number | null;
  /** Of code without matrix units. */
  readonly vectorFlopPerSecond: number | null;
}

/**
 * The roofs of a device for one kind of weights.
 * @param quantised - CUDA and CPU backends quantise the activations too and multiply on INT8 units
 *   (`ggml_cuda_mul_mat_q`, ggml-cuda/mmq.cu; `ggml_vec_dot_*_q8_K`, ggml-cpu, llama.cpp v0.5.0).
 */
export function roofsOf(device: PredictedDevice, family: BackendFamily, quantised: boolean): Roofs {
  const { fp32, fp16, int8 } = device.peaks;
  const candidates: readonly (readonly ['INT8' | 'FP16' | 'FP32', number | null])[] =
    quantised && family !== 'metal'
      ? [
          ['INT8', int8],
          ['FP16', fp16],
          ['FP32', fp32],
        ]
      : [
          ['FP16', fp16],
          ['FP32', fp32],
        ];
  let best: readonly ['INT8' | 'FP16' | 'FP32' | null, number | null] = [null, null];
  for (const candidate of candidates) {
    if (candidate[1] !== null && candidate[1] > (best[1] ?? 0)) best = candidate;
  }
  return {
    bandwidthBytesPerSecond: device.bandwidthBytesPerSecond,
    matmulFlopPerSecond: best[1],
    matmulType: best[0],
    attentionFlopPerSecond: device.vendor === 'amd' && fp32 !== null ? 2 * fp32 : (fp16 ?? fp32),
    vectorFlopPerSecond: fp32 ?? fp16,
  };
}
