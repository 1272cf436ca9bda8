import { GGML_TYPES } from '../../model/index.ts';
import type { Nanoseconds } from '../../units/index.ts';
import type { AttendRequest } from '../probe.ts';
import { LibraryError, type Library, type Pointer } from './bindings.ts';
import { Compute, deviceNamed, randomFloats, repeat, setTensor } from './compute.ts';

/** Bytes of a context for the descriptions of the tensors, six of a layer, and one graph, but no data. */
const LAYER_BYTES = 8 * 1024;
const GRAPH_BYTES = 1 << 20;
/** ggml's graphs hold so many nodes (GGML_DEFAULT_GRAPH_SIZE, ggml.h): three of each layer. */
const MOST_LAYERS = 512;
/** llama.cpp pads the part of the cache that it attends to (`llama_kv_cache::get_n_kv`) and masks the rest. */
const PADDING = 256;
const MINUS_INFINITY = 0xfc00;

/**
 * Times ggml_flash_attn_ext of one token as llama.cpp calls it (`build_attn_mha`, llama-graph.cpp): heads of a token lie
 * side by side in the cache, and the layers have caches of their own, so that none stays in a processor's cache.
 * @throws LibraryError when the device cannot do it.
 */
export function timeAttention(library: Library, request: AttendRequest): Nanoseconds[] {
  const { heads, keyValueHeads, headLength, layers } = request;
  if (layers > MOST_LAYERS) throw new LibraryError(`attention of more than ${MOST_LAYERS} layers`);
  const { ggml } = library;
  const context = ggml('void *ggml_init(ggml_init_params params)')({
    mem_size: GRAPH_BYTES + layers * LAYER_BYTES,
    mem_buffer: null,
    no_alloc: true,
  });
  const compute = new Compute(library, deviceNamed(library, request.device), request.threads);
  let memory: Pointer = null;
  try {
    const tensor = ggml('void *ggml_new_tensor_3d(void *ctx, int type, int64_t a, int64_t b, int64_t c)');
    const permute = ggml('void *ggml_permute(void *ctx, void *a, int x, int y, int z, int w)');
    const attend = ggml(
      'void *ggml_flash_attn_ext(void *ctx, void *q, void *k, void *v, void *mask, float scale, float max_bias, float softcap)',
    );
    const expand = ggml('void ggml_build_forward_expand(void *graph, void *tensor)');
    const graph = ggml('void *ggml_new_graph(void *ctx)')(context) as Pointer;
    const cells = Math.ceil(request.cells / PADDING) * PADDING;
    const mask = tensor(context, GGML_TYPES.F16.id, cells, 1, 1) as Pointer;
    const queries: Pointer[] = [];
    const caches: Pointer[] = [];
    for (let layer = 0; layer < layers; layer += 1) {
      const query = tensor(context, GGML_TYPES.F32.id, headLength, 1, heads) as Pointer;
      const keys = tensor(context, GGML_TYPES.F16.id, headLength, keyValueHeads, cells) as Pointer;
      const values = tensor(context, GGML_TYPES.F16.id, headLength, keyValueHeads, cells) as Pointer;
      const byHead = (cache: Pointer): Pointer => permute(context, cache, 0, 2, 1, 3) as Pointer;
      const scale = 1 / Math.sqrt(headLength);
      const result = attend(context, query, byHead(keys), byHead(values), mask, scale, 0, 0) as Pointer;
      if (!compute.supports(result)) {
        throw new LibraryError(`${request.device ?? 'the device'} cannot attend with heads of ${headLength}`);
      }
      expand(graph, result);
      queries.push(query);
      caches.push(keys, values);
    }
    const allocate = ggml('void *ggml_backend_alloc_ctx_tensors_from_buft(void *ctx, void *buft)');
    memory = allocate(context, compute.ownMemory) as Pointer;
    if (!memory) throw new LibraryError('unable to allocate the caches of the probe');
    setTensor(library, mask, maskOf(request.cells, cells));
    for (const query of queries) setTensor(library, query, randomFloats(headLength * heads * 4));
    const filling = randomHalves(headLength * keyValueHeads * cells);
    for (const cache of caches) setTensor(library, cache, filling);
    return repeat(() => compute.run(graph), request.milliseconds);
  } finally {
    if (memory) ggml('void ggml_backend_buffer_free(void *buffer)')(memory);
    compute.end();
    ggml('void ggml_free(void *ctx)')(context);
  }
}

function maskOf(filled: number, cells: number): Buffer {
  return Buffer.from(
    Uint16Array.from({ length: cells }, (_, at) => (at < filled ? 0 : MINUS_INFINITY)).buffer,
  );
}

/** Random halves of 1/16 to 1, of both signs, repeated after so many: their exponents are 11 to 14. */
const DISTINCT_HALVES = 1 << 16;
const LEAST_HALF = 0x2c00;
const HALF_RANGE = 0x1000;
const SIGN = 0x8000;
let halves: Buffer | null = null;

function randomHalves(count: number): Buffer {
  halves ??= Buffer.from(
    Uint16Array.from(
      { length: DISTINCT_HALVES },
      () => (Math.random() < 0.5 ? SIGN : 0) | (LEAST_HALF + Math.floor(Math.random() * HALF_RANGE)),
    ).buffer,
  );
  return Buffer.alloc(count * 2, halves);
}
