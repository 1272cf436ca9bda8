/** Why a variable of the environment can change a result. */
interface VariableRule {
  readonly pattern: RegExp;
  readonly reason: string;
}

/**
 * The variables that are kept. Read from the sources of llama.cpp, Mesa, the Vulkan loader, ROCm, CUDA and the OpenMP
 * runtimes: each of these changes which device runs, which kernels run, or with how many threads.
 */
const VARIABLE_RULES: readonly VariableRule[] = [
  { pattern: /^GGML_/, reason: 'switches of the ggml backends (kernels, fusion, memory, device choice)' },
  { pattern: /^LLAMA_(?!ARG_|API_|CACHE$)/, reason: 'switches of libllama (graph reuse, debugging)' },
  { pattern: /^(CUDA|HIP|ROCR|GPU)_VISIBLE_DEVICES$|^GPU_DEVICE_ORDINAL$/, reason: 'which GPUs are seen' },
  { pattern: /^ONEAPI_DEVICE_SELECTOR$|^ZE_AFFINITY_MASK$/, reason: 'which Intel GPUs are seen' },
  {
    pattern:
      /^CUDA_(DEVICE_ORDER|LAUNCH_BLOCKING|SCALE_LAUNCH_QUEUES|MODULE_LOADING|CACHE_DISABLE|DISABLE_PTX_JIT|FORCE_PTX_JIT)$/,
    reason: 'order of the GPUs and how CUDA launches and compiles',
  },
  {
    pattern: /^HSA_(OVERRIDE_GFX_VERSION|XNACK|ENABLE_SDMA|ENABLE_PEER_SDMA|CU_MASK|NO_SCRATCH_RECLAIM)/,
    reason: 'which GPU the ROCm runtime compiles for, copies, paging',
  },
  {
    pattern:
      /^ROCBLAS_(USE_HIPBLASLT|USE_HIPBLASLT_BATCHED|LAYER|TENSILE_LIBPATH)$|^HIPBLASLT_TENSILE_LIBPATH$/,
    reason: 'which matrix kernels ROCm uses',
  },
  {
    pattern:
      /^(AMD_VULKAN_ICD|VK_ICD_FILENAMES|VK_DRIVER_FILES|VK_ADD_DRIVER_FILES|VK_LOADER_DRIVERS_(SELECT|DISABLE)|DISABLE_LAYER_AMD_SWITCHABLE_GRAPHICS_1)$/,
    reason: 'which Vulkan driver is loaded',
  },
  {
    pattern: /^(VK_INSTANCE_LAYERS|VK_LOADER_LAYERS_(ENABLE|DISABLE))$/,
    reason: 'Vulkan layers between engine and driver',
  },
  {
    pattern: /^(RADV|ACO|ANV|NVK|TU)_(PERFTEST|DEBUG|EXPERIMENTAL|THREAD_TRACE|FORCE_VRS)$/,
    reason: 'switches of the Mesa Vulkan drivers',
  },
  { pattern: /^MESA_/, reason: 'switches of Mesa (shader cache, device choice)' },
  { pattern: /^(LP_NUM_THREADS|LIBGL_ALWAYS_SOFTWARE)$/, reason: 'software rendering' },
  { pattern: /^(OMP|GOMP|KMP)_/, reason: 'threads, their placement and waiting in OpenMP' },
  {
    pattern: /^(OPENBLAS|MKL|BLIS|VECLIB)_(NUM_THREADS|MAXIMUM_THREADS|DYNAMIC)$/,
    reason: 'threads of the BLAS library',
  },
  {
    pattern: /^(LD_PRELOAD|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH|DYLD_INSERT_LIBRARIES)$/,
    reason: 'which libraries the engine loads',
  },
  {
    pattern: /^(MALLOC_ARENA_MAX|MALLOC_CONF|GLIBC_TUNABLES)$/,
    reason: 'the memory allocator, for example huge pages',
  },
  { pattern: /^MTL_|^METAL_/, reason: 'validation and capture in Metal' },
];

/** Whatever rule a name matches, one that sounds like a secret is not kept. */
const SECRET_NAME = /KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH/;
/** Longest value that is kept: library paths of module systems reach some thousand characters. */
const MAX_VALUE_CHARACTERS = 10_000;

/** Those variables of an environment that can change a result, sorted by name, with personal paths made anonymous. */
export function relevantEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  anonymous: (text: string) => string,
): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of Object.keys(environment).sort()) {
    const value = environment[name];
    if (value === undefined || SECRET_NAME.test(name)) continue;
    if (VARIABLE_RULES.some((rule) => rule.pattern.test(name))) {
      kept[name] = anonymous(value).slice(0, MAX_VALUE_CHARACTERS);
    }
  }
  return kept;
}
