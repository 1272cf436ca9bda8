import type { Configuration } from './configuration.ts';

/**
 * Days since 1970 of 2025-07-21: ROCm 6.4.2, the first release whose hipBLASLt has kernels for gfx1151
 * (ROCm/pytorch#2742 asks for this version; ROCm/legacy-rocm-build#4748). What was built before multiplies with
 * rocBLAS's own Tensile kernels unless it says otherwise; later builds are mostly run with hipBLASLt
 * (`ROCBLAS_USE_HIPBLASLT=1`, as ggml-org/llama.cpp#13565 found).
 */
const HIPBLASLT_DAY = 20290;
/**
 * Days since 1970 of 2025-09-24: ROCm 6.4.4 and its contemporaries bring Tensile kernels that are as fast. Of 997 pairs
 * of published prompts with and without hipBLASLt since then half differ by less than 2 %; of 352 before, release
 * candidates of ROCm 7 aside, which had the kernels already, half by more than a factor of 2.3.
 */
const TUNED_DAY = 20355;
/** Smaller batches go to kernels of llama.cpp's own, without rocBLAS (`ggml_cuda_should_use_mmq`, mmq.cuh, mid-2025). */
const ROCBLAS_BATCH = 64;

/** Whether a prompt is multiplied by the untuned Tensile kernels that rocBLAS had for new chips in mid-2025. */
export function isOnUntunedTensile({ backend, day, ubatch }: Configuration, tokens: number): boolean {
  if (backend.family !== 'rocm' || day === null || day >= TUNED_DAY) return false;
  const hipBlasLt = backend.hipBlasLt ?? day >= HIPBLASLT_DAY;
  return !hipBlasLt && Math.min(ubatch, tokens) >= ROCBLAS_BATCH;
}
