import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import koffi from 'koffi';

/**
 * llama.cpp's C API through koffi. The structs are passed by value and change between releases, so they are written
 * for exactly one release, {@link ENGINE_RELEASE}, and {@link openLibrary} refuses any library whose default
 * parameters are not the ones of that release.
 *
 * Sources: include/llama.h, ggml/include/ggml-backend.h, ggml/include/ggml.h of release 0.5.0.
 */
export const ENGINE_RELEASE = '0.5.0';

/** A pointer into native memory; koffi represents it as a BigInt, and 0n or null is NULL. */
export type Pointer = bigint | null;
type NativeFunction = (...inputs: unknown[]) => unknown;

koffi.struct('llama_model_params', {
  devices: 'void *',
  tensor_buft_overrides: 'void *',
  n_gpu_layers: 'int32_t',
  split_mode: 'int',
  load_mode: 'int',
  lazy_mode: 'int',
  main_gpu: 'int32_t',
  tensor_split: 'void *',
  progress_callback: 'void *',
  progress_callback_user_data: 'void *',
  kv_overrides: 'void *',
  vocab_only: 'bool',
  check_tensors: 'bool',
  use_extra_bufts: 'bool',
  no_host: 'bool',
  no_alloc: 'bool',
  load_mtp: 'bool',
});

koffi.struct('llama_context_params', {
  n_ctx: 'uint32_t',
  n_batch: 'uint32_t',
  n_ubatch: 'uint32_t',
  n_seq_max: 'uint32_t',
  n_rs_seq: 'uint32_t',
  n_outputs_max: 'uint32_t',
  n_outputs_max_per_seq: 'uint32_t',
  n_threads: 'int32_t',
  n_threads_batch: 'int32_t',
  ctx_type: 'int',
  rope_scaling_type: 'int',
  pooling_type: 'int',
  attention_type: 'int',
  flash_attn_type: 'int',
  rope_freq_base: 'float',
  rope_freq_scale: 'float',
  yarn_ext_factor: 'float',
  yarn_attn_factor: 'float',
  yarn_beta_fast: 'float',
  yarn_beta_slow: 'float',
  yarn_orig_ctx: 'uint32_t',
  defrag_thold: 'float',
  cb_eval: 'void *',
  cb_eval_user_data: 'void *',
  type_k: 'int',
  type_v: 'int',
  abort_callback: 'void *',
  abort_callback_data: 'void *',
  embeddings: 'bool',
  offload_kqv: 'bool',
  no_perf: 'bool',
  op_offload: 'bool',
  swa_full: 'bool',
  kv_unified: 'bool',
  samplers: 'void *',
  n_samplers: 'size_t',
  ctx_other: 'void *',
});

koffi.struct('llama_batch', {
  n_tokens: 'int32_t',
  token: 'void *',
  embd: 'void *',
  pos: 'void *',
  n_seq_id: 'void *',
  seq_id: 'void *',
  logits: 'void *',
});

/** GGML_MAX_N_THREADS, ggml.h. */
const MAX_THREADS = 512;
koffi.struct('ggml_threadpool_params', {
  cpumask: koffi.array('bool', MAX_THREADS, 'Array'),
  n_threads: 'int',
  prio: 'int',
  poll: 'uint32_t',
  strict_cpu: 'bool',
  paused: 'bool',
});
koffi.struct('ggml_init_params', { mem_size: 'size_t', mem_buffer: 'void *', no_alloc: 'bool' });
/** The first members of ggml_tensor (ggml.h): as far as shapes and strides are read. */
koffi.struct('ggml_tensor_head', {
  type: 'int',
  buffer: 'void *',
  ne: koffi.array('int64_t', 4, 'Array'),
  nb: koffi.array('size_t', 4, 'Array'),
});
koffi.struct('llama_model_tensor_buft_override', { pattern: 'const char *', buft: 'void *' });
/** A `std::map` of libstdc++ as far as the root of its tree is read; returned by value, through a hidden pointer. */
koffi.struct('ridgepoint_std_map', {
  comparator: 'size_t',
  colour: 'size_t',
  root: 'void *',
  leftmost: 'void *',
  rightmost: 'void *',
  count: 'size_t',
});
const LOG_CALLBACK = koffi.proto(
  'void ridgepoint_log_callback(int level, const char *text, void *user_data)',
);
const EVAL_CALLBACK = koffi.proto('bool ridgepoint_eval_callback(void *tensor, bool ask, void *user_data)');
const NEW_THREADPOOL = koffi.proto('void *ridgepoint_new_threadpool(ggml_threadpool_params *params)');
const SET_THREADPOOL = koffi.proto('void ridgepoint_set_threadpool(void *backend, void *threadpool)');
const FREE_THREADPOOL = koffi.proto('void ridgepoint_free_threadpool(void *threadpool)');
const EXTRA_BUFFERS = koffi.proto('void *ridgepoint_extra_buffer_types(void *device)');
const SET_THREADS = koffi.proto('void ridgepoint_set_threads(void *backend, int n_threads)');

/** Defaults that a library of the pinned release returns; a different layout of the structs shows up here. */
const EXPECTED_MODEL_DEFAULTS = {
  n_gpu_layers: -1,
  split_mode: 1,
  load_mode: -1,
  lazy_mode: 1,
  main_gpu: 0,
  vocab_only: false,
  check_tensors: false,
  use_extra_bufts: true,
  no_host: false,
  no_alloc: false,
  load_mtp: false,
} as const;
const EXPECTED_CONTEXT_DEFAULTS = {
  n_ctx: 512,
  n_batch: 2048,
  n_ubatch: 512,
  n_seq_max: 1,
  n_rs_seq: 0,
  n_outputs_max: 0,
  n_outputs_max_per_seq: 1,
  n_threads: 4,
  n_threads_batch: 4,
  ctx_type: 0,
  rope_scaling_type: -1,
  pooling_type: -1,
  attention_type: -1,
  flash_attn_type: -1,
  rope_freq_base: 0,
  yarn_ext_factor: -1,
  yarn_orig_ctx: 0,
  defrag_thold: -1,
  type_k: 1,
  type_v: 1,
  embeddings: false,
  offload_kqv: true,
  no_perf: true,
  op_offload: true,
  swa_full: true,
  kv_unified: false,
  n_samplers: 0,
} as const;

export type ModelParams = Record<keyof typeof EXPECTED_MODEL_DEFAULTS, number | boolean> & {
  devices: Pointer;
  tensor_buft_overrides: Pointer;
};
export type ContextParams = Record<keyof typeof EXPECTED_CONTEXT_DEFAULTS, number | boolean> & {
  cb_eval: Pointer;
};

export type EvalCallback = (tensor: Pointer, ask: boolean) => boolean;

/** The opened libraries and their functions, each by the name that it has in C. */
export interface Library {
  readonly directory: string;
  readonly modelDefaults: () => ModelParams;
  readonly contextDefaults: () => ContextParams;
  /** Calls a function of libllama. */
  readonly llama: (declaration: string) => NativeFunction;
  /** Calls a function of libggml-base. */
  readonly ggml: (declaration: string) => NativeFunction;
  /** Calls a function of libggml, the registry of backends. */
  readonly registry: (declaration: string) => NativeFunction;
  newThreadpool(registryEntry: Pointer, threads: number): Pointer;
  /**
   * Puts the threads of a pool to sleep; the next graph wakes them. The CPU backend pauses the pool that it is told to
   * leave (ggml_backend_cpu_set_threadpool), and that is the only way to it that every build offers.
   */
  pauseThreadpool(registryEntry: Pointer, backend: Pointer, threadpool: Pointer): void;
  /** Lets a backend compute with the threads of a pool, which poll for a while after each graph. */
  attachThreadpool(registryEntry: Pointer, backend: Pointer, threadpool: Pointer): void;
  freeThreadpool(registryEntry: Pointer, threadpool: Pointer): void;
  setBackendThreads(registryEntry: Pointer, backend: Pointer, threads: number): void;
  /** Buffer types beyond the device's own: repacked weights on a CPU (ggml_backend_dev_get_extra_bufts). */
  extraBufferTypes(device: Pointer): Pointer[];
  evalCallback(callback: EvalCallback): Pointer;
  /** Hands what llama.cpp logs to `take` instead of printing it, until the returned function is called. */
  captureLog(take: (text: string) => void): () => void;
  allocate(type: string, count: number): Pointer;
  /** Writes one value of a declared struct or basic type at an offset of native memory. */
  write(at: Pointer, offset: number, type: string, value: unknown): void;
  /** Reads one value of a declared struct or basic type. */
  read(at: Pointer, offset: number, type: string): unknown;
  /** Native memory as a view; it stays valid as long as the memory does. */
  view(at: Pointer, length: number): ArrayBuffer;
}

/** A library that cannot be used, with the reason in one sentence. */
export class LibraryError extends Error {
  override readonly name = 'LibraryError';
}

/**
 * Opens the shared libraries in `directory` and checks that they are of the pinned release.
 * @throws LibraryError
 */
export function openLibrary(directory: string): Library {
  const names = existsSync(directory) ? readdirSync(directory) : [];
  const find = (stem: RegExp): string => {
    const name = names.find((candidate) => stem.test(candidate));
    if (name === undefined) {
      throw new LibraryError(`No llama.cpp library was found in ${directory}; install Ridgepoint again.`);
    }
    return path.join(directory, name);
  };
  let base: ReturnType<typeof koffi.load>;
  let registryLibrary: ReturnType<typeof koffi.load>;
  let llamaLibrary: ReturnType<typeof koffi.load>;
  try {
    base = koffi.load(find(/^(?:lib)?ggml-base[^-]*\.(?:so|dylib|dll)$/));
    registryLibrary = koffi.load(find(/^(?:lib)?ggml(?:\.[^-]*)?\.(?:so|dylib|dll)$/));
    llamaLibrary = koffi.load(find(/^(?:lib)?llama(?:\.[^-]*)?\.(?:so|dylib|dll)$/));
  } catch (error) {
    if (error instanceof LibraryError) throw error;
    throw new LibraryError(`llama.cpp's libraries in ${directory} cannot be loaded: ${String(error)}.`);
  }
  const functions = new Map<string, NativeFunction>();
  const lookUp = (library: ReturnType<typeof koffi.load>, declaration: string): NativeFunction => {
    const cached = functions.get(declaration);
    if (cached !== undefined) return cached;
    const found = library.func(declaration) as NativeFunction;
    functions.set(declaration, found);
    return found;
  };
  const llama = (declaration: string): NativeFunction => lookUp(llamaLibrary, declaration);
  const ggml = (declaration: string): NativeFunction => lookUp(base, declaration);
  const procedure = (registryEntry: Pointer, name: string): Pointer => {
    const found = ggml('void *ggml_backend_reg_get_proc_address(void *reg, const char *name)')(
      registryEntry,
      name,
    ) as Pointer;
    if (found === null || found === 0n) throw new LibraryError(`The engine's backend has no ${name}.`);
    return found;
  };
  const library: Library = {
    directory,
    modelDefaults: () => llama('llama_model_params llama_model_default_params()')() as ModelParams,
    contextDefaults: () => llama('llama_context_params llama_context_default_params()')() as ContextParams,
    llama,
    ggml,
    registry: (declaration) => lookUp(registryLibrary, declaration),
    newThreadpool(registryEntry, threads) {
      const params = ggml('ggml_threadpool_params ggml_threadpool_params_default(int n_threads)')(threads);
      return koffi.call(procedure(registryEntry, 'ggml_threadpool_new'), NEW_THREADPOOL, params) as Pointer;
    },
    pauseThreadpool(registryEntry, backend, threadpool) {
      const setThreadpool = procedure(registryEntry, 'ggml_backend_cpu_set_threadpool');
      koffi.call(setThreadpool, SET_THREADPOOL, backend, threadpool);
      koffi.call(setThreadpool, SET_THREADPOOL, backend, null);
    },
    attachThreadpool(registryEntry, backend, threadpool) {
      const setThreadpool = procedure(registryEntry, 'ggml_backend_cpu_set_threadpool');
      koffi.call(setThreadpool, SET_THREADPOOL, backend, threadpool);
    },
    freeThreadpool(registryEntry, threadpool) {
      koffi.call(procedure(registryEntry, 'ggml_threadpool_free'), FREE_THREADPOOL, threadpool);
    },
    setBackendThreads(registryEntry, backend, threads) {
      koffi.call(procedure(registryEntry, 'ggml_backend_set_n_threads'), SET_THREADS, backend, threads);
    },
    extraBufferTypes(device) {
      const entry = ggml('void *ggml_backend_dev_backend_reg(void *device)')(device) as Pointer;
      const found = ggml('void *ggml_backend_reg_get_proc_address(void *reg, const char *name)')(
        entry,
        'ggml_backend_dev_get_extra_bufts',
      ) as Pointer;
      if (found === null || found === 0n) return [];
      const list = koffi.call(found, EXTRA_BUFFERS, device) as Pointer;
      const types: Pointer[] = [];
      if (list === null || list === 0n) return types;
      for (let offset = 0; ; offset += koffi.sizeof('void *')) {
        const type = koffi.decode(list, offset, 'void *') as Pointer;
        if (type === null || type === 0n) return types;
        types.push(type);
      }
    },
    evalCallback: (callback) => koffi.register(callback, koffi.pointer(EVAL_CALLBACK)),
    captureLog(take) {
      const setLog = llama('void llama_log_set(void *callback, void *user_data)');
      const callback = koffi.register(
        (_level: number, text: string) => take(text),
        koffi.pointer(LOG_CALLBACK),
      );
      setLog(callback, null);
      return () => {
        setLog(null, null);
        koffi.unregister(callback);
      };
    },
    allocate: (type, count) => koffi.alloc(type, count) as Pointer,
    write: (at, offset, type, value) => {
      koffi.encode(at, offset, type, value);
    },
    read: (at, offset, type) => koffi.decode(at, offset, type) as unknown,
    view: (at, length) => koffi.view(at, length),
  };
  checkDefaults('llama_model_default_params', library.modelDefaults(), EXPECTED_MODEL_DEFAULTS);
  checkDefaults('llama_context_default_params', library.contextDefaults(), EXPECTED_CONTEXT_DEFAULTS);
  return library;
}

/** @throws LibraryError when a field differs: the library is of another release, and calling it would corrupt memory. */
export function checkDefaults(
  functionName: string,
  actual: Readonly<Record<string, unknown>>,
  expected: Readonly<Record<string, unknown>>,
): void {
  for (const [field, value] of Object.entries(expected)) {
    if (actual[field] !== value) {
      throw new LibraryError(
        `This llama.cpp library is not release ${ENGINE_RELEASE}: ${functionName} returns ${field} = ` +
          `${String(actual[field])} instead of ${String(value)}. Install Ridgepoint again, or drive this build ` +
          'through --engine llama-bench:/path/to/llama-bench.',
      );
    }
  }
}
