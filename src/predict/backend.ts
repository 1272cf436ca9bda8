/** The families of compute backends of llama.cpp that the predictions know. */
export const BACKEND_FAMILIES = ['cpu', 'cuda', 'metal', 'opencl', 'rocm', 'sycl', 'vulkan'] as const;
export type BackendFamily = (typeof BACKEND_FAMILIES)[number];

/** A backend as people write it (`rocm-7.1.1+rocwmma`, `vulkan-radv`), taken apart. */
export interface Backend {
  readonly family: BackendFamily;
  /** The driver, or major and minor version of the toolkit: `radv`, `7.1`; null where none is named. */
  readonly variant: string | null;
  /** Built with rocWMMA, which replaces the flash attention kernels of ROCm. */
  readonly rocwmma: boolean;
  /** Whether rocBLAS multiplies with hipBLASLt (`+hipblaslt`) or its own Tensile kernels (`+tensile`); null: not said. */
  readonly hipBlasLt: boolean | null;
  /** The text in lower case, without how rocBLAS multiplies: the most specific name. */
  readonly exact: string;
}

const FAMILY_PREFIXES: readonly (readonly [string, BackendFamily])[] = [
  ['vulkan', 'vulkan'],
  ['rocm', 'rocm'],
  ['hip', 'rocm'],
  ['cuda', 'cuda'],
  ['metal', 'metal'],
  ['sycl', 'sycl'],
  ['opencl', 'opencl'],
  ['cpu', 'cpu'],
];

/** Options of a ROCm backend that say how rocBLAS multiplies: `ROCBLAS_USE_HIPBLASLT` set to 1, or to 0. */
const HIPBLASLT = 'hipblaslt';
const TENSILE = 'tensile';

/** The backend that llama.cpp is built with for most users of a vendor's devices. */
const USUAL_FAMILY: Readonly<Record<string, BackendFamily>> = {
  nvidia: 'cuda',
  amd: 'rocm',
  apple: 'metal',
  intel: 'sycl',
};

/**
 * Takes the name of a backend apart; null for a name of none that llama.cpp has.
 * @param vendor - decides what a source means that says no more than `gpu`.
 */
export function parseBackend(text: string, vendor: string, unit: 'cpu' | 'gpu'): Backend | null {
  const [named = '', ...options] = text.trim().toLowerCase().split('+');
  const exact = [named, ...options.filter((option) => option !== HIPBLASLT && option !== TENSILE)].join('+');
  const generic = exact === '' || exact === 'gpu' ? usualFamily(vendor, unit) : null;
  const family = generic ?? FAMILY_PREFIXES.find(([prefix]) => exact.startsWith(prefix))?.[1] ?? null;
  if (family === null) return null;
  return {
    family,
    variant: variantOf(named),
    rocwmma: options.some((option) => option.startsWith('rocwmma')),
    hipBlasLt: options.includes(HIPBLASLT) ? true : options.includes(TENSILE) ? false : null,
    exact: generic === null ? exact : family,
  };
}

/** The backend that is meant where none is named. */
export function usualFamily(vendor: string, unit: 'cpu' | 'gpu'): BackendFamily | null {
  return unit === 'cpu' ? 'cpu' : (USUAL_FAMILY[vendor.toLowerCase()] ?? 'vulkan');
}

function variantOf(base: string): string | null {
  const [, rest] = /^[a-z]+-(.+)$/.exec(base) ?? [];
  if (rest === undefined) return null;
  const version = /^(\d+)(?:\.(\d+))?/.exec(rest);
  if (version === null) return rest;
  return version[2] === undefined ? `${version[1]}` : `${version[1]}.${version[2]}`;
}
