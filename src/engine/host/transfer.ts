import { GGML_TYPES } from '../../model/index.ts';
import type { Nanoseconds } from '../../units/index.ts';
import type { TransferRequest } from '../probe.ts';
import { LibraryError, type Library, type Pointer } from './bindings.ts';
import { deviceNamed, randomFloats, repeat, timed } from './compute.ts';

/** A context for one tensor without data. */
const CONTEXT_BYTES = 4096;

/**
 * Times ggml_backend_tensor_set or _get of a whole tensor: how llama.cpp moves weights to a device and results from it.
 * @returns null when the device has no pinned memory on the host and such memory is asked for.
 * @throws LibraryError when there is not the memory.
 */
export function timeTransfer(library: Library, request: TransferRequest): Nanoseconds[] | null {
  const { ggml } = library;
  const device = deviceNamed(library, request.device);
  const hostMemory = newHostMemory(library, device, request);
  if (hostMemory === null) return null;
  const context = ggml('void *ggml_init(ggml_init_params params)')({
    mem_size: CONTEXT_BYTES,
    mem_buffer: null,
    no_alloc: true,
  }) as Pointer;
  const tensor = ggml('void *ggml_new_tensor_1d(void *ctx, int type, int64_t ne0)')(
    context,
    GGML_TYPES.I8.id,
    request.sizeBytes,
  ) as Pointer;
  const buffer = ggml('void *ggml_backend_alloc_ctx_tensors_from_buft(void *ctx, void *buft)')(
    context,
    ggml('void *ggml_backend_dev_buffer_type(void *device)')(device),
  ) as Pointer;
  try {
    if (!buffer) throw new LibraryError('unable to allocate the tensor of the probe');
    const move = ggml(
      `void ggml_backend_tensor_${request.direction === 'to-device' ? 'set' : 'get'}(void *tensor, void *data, size_t offset, size_t size)`,
    );
    return repeat(
      () => timed(() => move(tensor, hostMemory.data, 0, request.sizeBytes)),
      request.milliseconds,
    );
  } finally {
    if (buffer) ggml('void ggml_backend_buffer_free(void *buffer)')(buffer);
    ggml('void ggml_free(void *ctx)')(context);
    hostMemory.free();
  }
}

function newHostMemory(
  library: Library,
  device: Pointer,
  { memory, sizeBytes }: TransferRequest,
): { readonly data: Buffer | Pointer; free(): void } | null {
  // Random, so that no page is the one page of zeros that an untouched allocation maps to.
  const content = randomFloats(sizeBytes);
  if (memory === 'pageable') return { data: content, free: () => undefined };
  const { ggml } = library;
  const kind = ggml('void *ggml_backend_dev_host_buffer_type(void *device)')(device) as Pointer;
  if (kind === null || kind === 0n) return null;
  const buffer = ggml('void *ggml_backend_buft_alloc_buffer(void *buft, size_t size)')(
    kind,
    sizeBytes,
  ) as Pointer;
  if (!buffer) throw new LibraryError('unable to allocate pinned memory');
  const data = ggml('void *ggml_backend_buffer_get_base(void *buffer)')(buffer) as Pointer;
  new Uint8Array(library.view(data, sizeBytes)).set(content);
  return { data, free: () => ggml('void ggml_backend_buffer_free(void *buffer)')(buffer) };
}
