import { GGML_TYPES, type GgmlTypeName } from '../../model/index.ts';
import { nanoseconds, type Nanoseconds } from '../../units/index.ts';
import { LibraryError, type Library, type Pointer } from './bindings.ts';

export interface MultiplyRequest {
  /** ggml's name of the weights' type, as GGUF spells it: `Q4_K`. */
  readonly type: string;
  /** Rows of the weight matrix (M) and its columns (K); `batch` activations (N) are multiplied with it. */
  readonly rows: number;
  readonly columns: number;
  readonly batch: number;
  readonly threads: number;
  /** How long to go on; at least {@link MIN_REPETITIONS} are made whatever it takes. */
  readonly milliseconds: number;
}

const MIN_REPETITIONS = 5;
const MAX_REPETITIONS = 1000;
/** Bytes for a context that holds three tensors and one graph, but no data. */
const CONTEXT_BYTES = 1 << 20;
/** Rows that are quantised from random numbers; the matrix repeats them, for quantising it whole takes minutes. */
const DISTINCT_ROWS = 64;
/** Offset of `buffer` in ggml_tensor (ggml.h): behind the type, aligned to a pointer. */
const BUFFER_OFFSET = 8;

/**
 * Times ggml_mul_mat of one weight matrix with a batch of activations on one device, the weights lying in the buffer
 * that llama.cpp itself would choose (repacked on a CPU). A large batch shows the matmul rate, a batch of one how
 * fast weights stream from memory.
 * @throws LibraryError when the device cannot do it.
 */
export function timeMultiply(library: Library, device: Pointer, request: MultiplyRequest): Nanoseconds[] {
  const type = GGML_TYPES[request.type as GgmlTypeName];
  if (type === undefined) throw new LibraryError(`ggml has no type ${request.type}`);
  const { ggml } = library;
  const init = ggml('void *ggml_init(ggml_init_params params)');
  const newTensor = ggml('void *ggml_new_tensor_2d(void *ctx, int type, int64_t ne0, int64_t ne1)');
  const params = { mem_size: CONTEXT_BYTES, mem_buffer: null, no_alloc: true };
  const weightContext = init(params);
  const computeContext = init(params);
  const weights = newTensor(weightContext, type.id, request.columns, request.rows) as Pointer;
  const activations = newTensor(computeContext, GGML_TYPES.F32.id, request.columns, request.batch) as Pointer;
  const product = ggml('void *ggml_mul_mat(void *ctx, void *a, void *b)')(
    computeContext,
    weights,
    activations,
  );
  const graph = ggml('void *ggml_new_graph(void *ctx)')(computeContext);
  ggml('void ggml_build_forward_expand(void *graph, void *tensor)')(graph, product);

  const backend = ggml('void *ggml_backend_dev_init(void *device, const char *params)')(
    device,
    null,
  ) as Pointer;
  const buffer = weightBuffer(library, device, weights, product as Pointer);
  const allocate = ggml('void *ggml_backend_alloc_ctx_tensors_from_buft(void *ctx, void *buft)');
  const own = ggml('void *ggml_backend_dev_buffer_type(void *device)')(device);
  const weightMemory = allocate(weightContext, buffer) as Pointer;
  const computeMemory = allocate(computeContext, own) as Pointer;
  if (!weightMemory || !computeMemory) throw new LibraryError('unable to allocate the matrices of the probe');
  try {
    setWeights(library, weights, type.id, request);
    setActivations(library, activations, request);
    const registryEntry = ggml('void *ggml_backend_dev_backend_reg(void *device)')(device) as Pointer;
    if (String(ggml('const char *ggml_backend_reg_name(void *reg)')(registryEntry)) === 'CPU') {
      library.setBackendThreads(registryEntry, backend, request.threads);
    }
    return repeat(library, backend, graph as Pointer, request.milliseconds);
  } finally {
    ggml('void ggml_backend_buffer_free(void *buffer)')(weightMemory);
    ggml('void ggml_backend_buffer_free(void *buffer)')(computeMemory);
    ggml('void ggml_backend_free(void *backend)')(backend);
    ggml('void ggml_free(void *ctx)')(weightContext);
    ggml('void ggml_free(void *ctx)')(computeContext);
  }
}

function repeat(library: Library, backend: Pointer, graph: Pointer, milliseconds: number): Nanoseconds[] {
  const compute = library.ggml('int ggml_backend_graph_compute(void *backend, void *graph)');
  const once = (): Nanoseconds => {
    const start = process.hrtime.bigint();
    const status = compute(backend, graph);
    if (status !== 0) throw new LibraryError(`ggml_backend_graph_compute failed with ${String(status)}`);
    return nanoseconds(Number(process.hrtime.bigint() - start));
  };
  // The first run pays for page faults and for compiling shaders.
  once();
  const samples: Nanoseconds[] = [];
  const end = performance.now() + milliseconds;
  while (samples.length < MIN_REPETITIONS || (performance.now() < end && samples.length < MAX_REPETITIONS)) {
    samples.push(once());
  }
  return samples;
}

/** The first extra buffer type in which the device can do this product (llama-model-loader.cpp), else its own. */
function weightBuffer(library: Library, device: Pointer, weights: Pointer, product: Pointer): Pointer {
  const { ggml } = library;
  const own = ggml('void *ggml_backend_dev_buffer_type(void *device)')(device) as Pointer;
  for (const candidate of library.extraBufferTypes(device)) {
    const probe = ggml('void *ggml_backend_buft_alloc_buffer(void *buft, size_t size)')(
      candidate,
      0,
    ) as Pointer;
    library.write(weights, BUFFER_OFFSET, 'void *', probe);
    const supported = ggml('bool ggml_backend_dev_supports_op(void *device, void *op)')(device, product);
    library.write(weights, BUFFER_OFFSET, 'void *', null);
    ggml('void ggml_backend_buffer_free(void *buffer)')(probe);
    if (supported === true) return candidate;
  }
  return own;
}

function setWeights(library: Library, tensor: Pointer, type: number, request: MultiplyRequest): void {
  const rowBytes = Number(library.ggml('size_t ggml_row_size(int type, int64_t ne)')(type, request.columns));
  const distinct = Math.min(DISTINCT_ROWS, request.rows);
  const source = Float32Array.from({ length: distinct * request.columns }, () => Math.random() * 2 - 1);
  const quantised = Buffer.alloc(distinct * rowBytes);
  const quantise = library.ggml(
    'size_t ggml_quantize_chunk(int type, void *src, void *dst, int64_t start, int64_t nrows, int64_t n_per_row, void *imatrix)',
  );
  quantise(type, source, quantised, 0, distinct, request.columns, null);
  const whole = Buffer.alloc(request.rows * rowBytes, quantised);
  setTensor(library, tensor, whole);
}

function setActivations(library: Library, tensor: Pointer, request: MultiplyRequest): void {
  const values = Float32Array.from({ length: request.columns * request.batch }, () => Math.random() * 2 - 1);
  setTensor(library, tensor, Buffer.from(values.buffer));
}

function setTensor(library: Library, tensor: Pointer, data: Buffer): void {
  library.ggml('void ggml_backend_tensor_set(void *tensor, void *data, size_t offset, size_t size)')(
    tensor,
    data,
    0,
    data.length,
  );
}
