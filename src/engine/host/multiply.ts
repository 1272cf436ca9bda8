import { GGML_TYPES, type GgmlTypeName } from '../../model/index.ts';
import type { Nanoseconds } from '../../units/index.ts';
import type { MultiplyRequest } from '../probe.ts';
import { LibraryError, type Library, type Pointer } from './bindings.ts';
import { Compute, deviceNamed, randomFloats, repeat, setTensor } from './compute.ts';

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
export function timeMultiply(library: Library, request: MultiplyRequest): Nanoseconds[] {
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
  ) as Pointer;
  const graph = ggml('void *ggml_new_graph(void *ctx)')(computeContext) as Pointer;
  ggml('void ggml_build_forward_expand(void *graph, void *tensor)')(graph, product);

  const compute = new Compute(library, deviceNamed(library, request.device), request.threads);
  const memory: Pointer[] = [];
  try {
    const buffer = weightBuffer(compute, weights, product);
    if (buffer === null) {
      throw new LibraryError(`${request.device ?? 'the device'} cannot multiply ${request.type}`);
    }
    const allocate = ggml('void *ggml_backend_alloc_ctx_tensors_from_buft(void *ctx, void *buft)');
    for (const [context, kind] of [
      [weightContext, buffer],
      [computeContext, compute.ownMemory],
    ] as const) {
      const allocated = allocate(context, kind) as Pointer;
      if (!allocated) throw new LibraryError('unable to allocate the matrices of the probe');
      memory.push(allocated);
    }
    setWeights(library, weights, type.id, request);
    setTensor(library, activations, randomFloats(request.columns * request.batch * 4));
    return repeat(() => compute.run(graph), request.milliseconds);
  } finally {
    for (const buffer of memory) ggml('void ggml_backend_buffer_free(void *buffer)')(buffer);
    compute.end();
    ggml('void ggml_free(void *ctx)')(weightContext);
    ggml('void ggml_free(void *ctx)')(computeContext);
  }
}

/**
 * The first extra buffer type in which the device can do this product (llama-model-loader.cpp), else its own, else
 * null.
 */
function weightBuffer(compute: Compute, weights: Pointer, product: Pointer): Pointer {
  const { library } = compute;
  const { ggml } = library;
  const own = compute.ownMemory;
  for (const candidate of [...library.extraBufferTypes(compute.device), own]) {
    const probe = ggml('void *ggml_backend_buft_alloc_buffer(void *buft, size_t size)')(
      candidate,
      0,
    ) as Pointer;
    library.write(weights, BUFFER_OFFSET, 'void *', probe);
    const supported = compute.supports(product);
    library.write(weights, BUFFER_OFFSET, 'void *', null);
    ggml('void ggml_backend_buffer_free(void *buffer)')(probe);
    if (supported) return candidate;
  }
  return null;
}

/** Quantised rows by type and length: a search multiplies hundreds of matrices with the same ones. */
const quantisedRows = new Map<string, Buffer>();
/** 32 sets of 64 rows of 16384 values are at most 128 MiB. */
const MAX_CACHED_ROWS = 32;

function setWeights(library: Library, tensor: Pointer, type: number, request: MultiplyRequest): void {
  const rowBytes = Number(library.ggml('size_t ggml_row_size(int type, int64_t ne)')(type, request.columns));
  const key = `${type} ${request.columns}`;
  let quantised = quantisedRows.get(key);
  if (quantised === undefined) {
    quantised = Buffer.alloc(DISTINCT_ROWS * rowBytes);
    const source = randomFloats(DISTINCT_ROWS * request.columns * 4);
    library.ggml(
      'size_t ggml_quantize_chunk(int type, void *src, void *dst, int64_t start, int64_t nrows, int64_t n_per_row, void *imatrix)',
    )(type, source, quantised, 0, DISTINCT_ROWS, request.columns, null);
    if (quantisedRows.size >= MAX_CACHED_ROWS) quantisedRows.clear();
    quantisedRows.set(key, quantised);
  }
  setTensor(library, tensor, Buffer.alloc(request.rows * rowBytes, quantised));
}
