import { GGML_TYPES } from '../../model/index.ts';
import { bytes, nanoseconds, type Nanoseconds } from '../../units/index.ts';
import type { StreamOperation, StreamRequest, StreamTimes } from '../probe.ts';
import { LibraryError, type Library, type Pointer } from './bindings.ts';
import { Compute, deviceNamed, randomFloats, repeat, setTensor } from './compute.ts';

/** Arrays of each operation, and which of them hold data that is read. */
const ARRAYS: Readonly<Record<StreamOperation, { readonly sources: number; readonly targets: number }>> = {
  read: { sources: 1, targets: 0 },
  write: { sources: 0, targets: 1 },
  copy: { sources: 1, targets: 1 },
  triad: { sources: 2, targets: 1 },
};
const FLOAT_BYTES = 4;
/** Length of a row. Rows are what threads share out, so short ones where there would be few. */
const LONG_ROW = 4096;
const SHORT_ROW = 256;
/** Fewest rows for which they are long. */
const MANY_ROWS = 128;
/**
 * Floats between two arrays. Arrays that start at the same place of a 4 KiB page hinder each other in first-level
 * caches (Intel, "Optimization Reference Manual", 4K aliasing): on a Zen 4 a copy without it takes 15 % longer
 * (docs/ceilings.md).
 */
const GAP_FLOATS = 272;
/** A graph of passes takes at least this long, so that starting it does not count. */
const GRAPH_NANOSECONDS = 2e6;
const MOST_STEPS = 2000;
/** Written at a time when arrays are filled. */
const FILL_BYTES = 16 * 2 ** 20;
/** Time for the passes over next to nothing. */
const EMPTY_MILLISECONDS = 20;

/** @throws LibraryError when the device cannot do it or has not the memory. */
export function timeStream(library: Library, request: StreamRequest): StreamTimes {
  const compute = new Compute(library, deviceNamed(library, request.device), request.threads);
  try {
    const arrays = ARRAYS[request.operation];
    const count = arrays.sources + arrays.targets;
    const floats = request.workingSetBytes / FLOAT_BYTES / count;
    const columns = floats >= LONG_ROW * MANY_ROWS ? LONG_ROW : SHORT_ROW;
    const rows = Math.max(1, Math.floor(floats / columns));
    const once = timePasses(compute, request.operation, rows, columns, 1, 0);
    const steps = Math.min(MOST_STEPS, Math.max(1, Math.ceil(GRAPH_NANOSECONDS / Math.min(...once))));
    const samples = timePasses(compute, request.operation, rows, columns, steps, request.milliseconds);
    const empty = timePasses(compute, request.operation, 1, SHORT_ROW, steps, EMPTY_MILLISECONDS);
    return {
      samplesNanoseconds: samples,
      steps,
      bytesPerStep: bytes(rows * columns * count * FLOAT_BYTES),
      emptyStepNanoseconds: nanoseconds(Math.min(...empty) / steps),
    };
  } finally {
    compute.end();
  }
}

/** Times a graph of `steps` passes of one operation over the same arrays. */
function timePasses(
  compute: Compute,
  operation: StreamOperation,
  rows: number,
  columns: number,
  steps: number,
  milliseconds: number,
): Nanoseconds[] {
  const { library } = compute;
  const { ggml } = library;
  const init = (size: number): Pointer =>
    ggml('void *ggml_init(ggml_init_params params)')({
      mem_size: size,
      mem_buffer: null,
      no_alloc: true,
    }) as Pointer;
  const overhead = Number(ggml('size_t ggml_tensor_overhead()')());
  const graphBytes = Number(
    ggml('size_t ggml_graph_overhead_custom(size_t size, bool grads)')(steps + 8, false),
  );
  const arrayContext = init(overhead * 10);
  const nodeContext = init(overhead * (steps + 2) + graphBytes + overhead);
  let memory: Pointer = null;
  try {
    const newArray = (length: number, count: number): Pointer =>
      ggml('void *ggml_new_tensor_2d(void *ctx, int type, int64_t ne0, int64_t ne1)')(
        arrayContext,
        GGML_TYPES.F32.id,
        length,
        count,
      ) as Pointer;
    const spaced = (length: number, count: number): Pointer => {
      const array = newArray(length, count);
      newArray(GAP_FLOATS, 1);
      return array;
    };
    const { sources } = ARRAYS[operation];
    const first = spaced(columns, rows);
    const another = sources > 1 ? spaced(columns, rows) : null;
    const target = operation === 'read' ? spaced(rows, 1) : sources > 0 ? spaced(columns, rows) : first;
    // Behind the target: between two arrays there is the gap alone.
    const second = another ?? spaced(columns, 1);
    memory = ggml('void *ggml_backend_alloc_ctx_tensors_from_buft(void *ctx, void *buft)')(
      arrayContext,
      compute.ownMemory,
    ) as Pointer;
    if (!memory) throw new LibraryError('unable to allocate the arrays of the probe');
    // First by the threads that will use it, so that each finds its part in the memory next to it; then with values.
    const touched = [first, second, target].filter((array, index, all) => all.indexOf(array) === index);
    for (const array of touched) touch(compute, array);
    if (sources > 0) fillRandomly(library, first, rows * columns);
    fillRandomly(library, second, sources > 1 ? rows * columns : columns);

    const graph = ggml('void *ggml_new_graph_custom(void *ctx, size_t size, bool grads)')(
      nodeContext,
      steps + 8,
      false,
    ) as Pointer;
    const expand = ggml('void ggml_build_forward_expand(void *graph, void *tensor)');
    for (let step = 0; step < steps; step += 1) {
      const node = newNode(library, nodeContext, operation, first, second, target);
      if (!compute.supports(node)) throw new LibraryError(`the device cannot ${operation}`);
      expand(graph, node);
    }
    return repeat(() => compute.run(graph), milliseconds);
  } finally {
    if (memory) ggml('void ggml_backend_buffer_free(void *buffer)')(memory);
    ggml('void ggml_free(void *ctx)')(nodeContext);
    ggml('void ggml_free(void *ctx)')(arrayContext);
  }
}

/** One pass. Its result lies in `target`, whichever pass it is: passes that wrote elsewhere would enlarge the set. */
function newNode(
  library: Library,
  context: Pointer,
  operation: StreamOperation,
  first: Pointer,
  second: Pointer,
  target: Pointer,
): Pointer {
  const { ggml } = library;
  switch (operation) {
    case 'read':
      // A matrix times one vector reads the matrix and writes next to nothing; generation does little else.
      return placed(
        library,
        ggml('void *ggml_mul_mat(void *ctx, void *a, void *b)')(context, first, second) as Pointer,
        target,
      );
    case 'write':
      return viewOf(
        library,
        ggml('void *ggml_fill_inplace(void *ctx, void *a, float c)')(context, target, 1) as Pointer,
      );
    case 'copy':
      return viewOf(
        library,
        ggml('void *ggml_cpy(void *ctx, void *a, void *b)')(context, first, target) as Pointer,
      );
    case 'triad':
      return placed(
        library,
        ggml('void *ggml_add(void *ctx, void *a, void *b)')(context, first, second) as Pointer,
        target,
      );
  }
}

/** Offset of `buffer` in ggml_tensor (ggml.h). */
const BUFFER_OFFSET = 8;

function placed(library: Library, node: Pointer, target: Pointer): Pointer {
  const buffer = library.read(target, BUFFER_OFFSET, 'void *');
  const address = library.ggml('void *ggml_get_data(void *tensor)')(target);
  library.ggml('int ggml_backend_tensor_alloc(void *buffer, void *tensor, void *addr)')(
    buffer,
    node,
    address,
  );
  return node;
}

function viewOf(library: Library, node: Pointer): Pointer {
  library.ggml('int ggml_backend_view_init(void *tensor)')(node);
  return node;
}

/** Writes the whole array with all threads, where the device can. */
function touch(compute: Compute, array: Pointer): void {
  const { ggml } = compute.library;
  const context = ggml('void *ggml_init(ggml_init_params params)')({
    mem_size: TOUCH_CONTEXT_BYTES,
    mem_buffer: null,
    no_alloc: true,
  }) as Pointer;
  try {
    const node = newNode(compute.library, context, 'write', array, array, array);
    if (!compute.supports(node)) return;
    const graph = ggml('void *ggml_new_graph(void *ctx)')(context) as Pointer;
    ggml('void ggml_build_forward_expand(void *graph, void *tensor)')(graph, node);
    compute.run(graph);
  } finally {
    ggml('void ggml_free(void *ctx)')(context);
  }
}

/** One tensor and one graph of the default size. */
const TOUCH_CONTEXT_BYTES = 1 << 20;

function fillRandomly(library: Library, tensor: Pointer, floats: number): void {
  const size = floats * FLOAT_BYTES;
  const chunk = randomFloats(Math.min(FILL_BYTES, size));
  for (let offset = 0; offset < size; offset += chunk.length) {
    setTensor(library, tensor, chunk.subarray(0, Math.min(chunk.length, size - offset)), offset);
  }
}
