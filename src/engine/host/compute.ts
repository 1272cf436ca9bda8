import { nanoseconds, type Nanoseconds } from '../../units/index.ts';
import { LibraryError, type Library, type Pointer } from './bindings.ts';
import { deviceAt } from './describe.ts';

/** Fewest timed runs, whatever they take. */
const MIN_REPETITIONS = 5;
/** Most runs of one request: beyond them a median gets no better, and the answer is one line of JSON. */
const MAX_REPETITIONS = 20_000;

/** The device of that name, or the first one. @throws LibraryError when there is none of that name. */
export function deviceNamed(library: Library, name: string | null): Pointer {
  if (name === null) return deviceAt(library, 0);
  const device = library.registry('void *ggml_backend_dev_by_name(const char *name)')(name) as Pointer;
  if (device === null || device === 0n) throw new LibraryError(`the engine has no device ${name}`);
  return device;
}

/** One device, ready to run graphs; on a CPU with a pool of threads that lives on between them. */
export class Compute {
  readonly library: Library;
  readonly device: Pointer;
  readonly #backend: Pointer;
  readonly #endPool: () => void;

  constructor(library: Library, device: Pointer, threads: number) {
    this.library = library;
    this.device = device;
    const { ggml } = library;
    this.#backend = ggml('void *ggml_backend_dev_init(void *device, const char *params)')(
      device,
      null,
    ) as Pointer;
    const entry = ggml('void *ggml_backend_dev_backend_reg(void *device)')(device) as Pointer;
    if (String(ggml('const char *ggml_backend_reg_name(void *reg)')(entry)) === 'CPU') {
      const pool = library.newThreadpool(entry, threads);
      library.setBackendThreads(entry, this.#backend, threads);
      library.attachThreadpool(entry, this.#backend, pool);
      this.#endPool = () => library.freeThreadpool(entry, pool);
    } else {
      this.#endPool = () => undefined;
    }
  }

  /** The device's own kind of memory. */
  get ownMemory(): Pointer {
    return this.library.ggml('void *ggml_backend_dev_buffer_type(void *device)')(this.device) as Pointer;
  }

  supports(operation: Pointer): boolean {
    return (
      this.library.ggml('bool ggml_backend_dev_supports_op(void *device, void *op)')(
        this.device,
        operation,
      ) === true
    );
  }

  /** Runs a graph once and waits for it. */
  run(graph: Pointer): Nanoseconds {
    const compute = this.library.ggml('int ggml_backend_graph_compute(void *backend, void *graph)');
    return timed(() => {
      const status = compute(this.#backend, graph);
      if (status !== 0) throw new LibraryError(`ggml_backend_graph_compute failed with ${String(status)}`);
    });
  }

  end(): void {
    this.library.ggml('void ggml_backend_free(void *backend)')(this.#backend);
    this.#endPool();
  }
}

/** Does it once untimed, for page faults and compiled shaders, and then again and again. */
export function repeat(once: () => Nanoseconds, milliseconds: number): Nanoseconds[] {
  once();
  const samples: Nanoseconds[] = [];
  const end = performance.now() + milliseconds;
  while (samples.length < MIN_REPETITIONS || (performance.now() < end && samples.length < MAX_REPETITIONS)) {
    samples.push(once());
  }
  return samples;
}

export function timed(work: () => void): Nanoseconds {
  const start = process.hrtime.bigint();
  work();
  return nanoseconds(Number(process.hrtime.bigint() - start));
}

/** Random numbers in [-1, 1), of which large tensors are filled: making each number anew takes longer than the test. */
const POOL_VALUES = 1 << 16;
let pool: Buffer | null = null;

/** A buffer of F32 activations or weights: random, and repeated after {@link POOL_VALUES} values. */
export function randomFloats(byteLength: number): Buffer {
  if (pool === null) {
    const values = Float32Array.from({ length: POOL_VALUES }, () => Math.random() * 2 - 1);
    pool = Buffer.from(values.buffer);
  }
  return Buffer.alloc(byteLength, pool);
}

export function setTensor(library: Library, tensor: Pointer, data: Buffer, offset = 0): void {
  library.ggml('void ggml_backend_tensor_set(void *tensor, void *data, size_t offset, size_t size)')(
    tensor,
    data,
    offset,
    data.length,
  );
}
