import { CACHE_TYPES } from '../cache-types.ts';
import type { BenchTest, ModelSettings } from '../engine.ts';
import type { MemoryRequest } from '../memory-request.ts';
import type { WorkerAnswer } from '../protocol.ts';
import { bytes, nanoseconds } from '../../units/index.ts';
import { LibraryError, type ContextParams, type Library, type Pointer } from './bindings.ts';

/** llama-bench's numbers of the flash attention modes (llama.h, enum llama_flash_attn_type). */
export const FLASH_ATTENTION = { auto: -1, off: 0, on: 1 } as const;

/** No mapping of the file: what `no_alloc` asks for (llama.h, enum llama_load_mode). */
const LOAD_MODE_NONE = 0;

/** The regular expression by which llama.cpp finds a layer's expert tensors (common.h, LLM_FFN_EXPS_REGEX). */
const expertTensorsOf = (layer: number): string =>
  String.raw`blk\.${layer}\.ffn_(up|down|gate|gate_up)_(ch|)exps`;

/** sizeof(llama_model_tensor_buft_override): two pointers. */
const OVERRIDE_BYTES = 16;
/** sizeof(float). */
const FLOAT_BYTES = 4;
/** Longest description that llama-bench asks llama_model_desc for. */
const DESCRIPTION_BYTES = 128;

/** One model and one context in this process, run the way llama-bench runs them. */
export class Session {
  readonly #library: Library;
  readonly #settings: ModelSettings;
  readonly #model: Pointer;
  readonly #vocabularySize: number;
  readonly #firstToken: number | null;
  readonly #tokens: Int32Array;
  readonly #tokensAt: Pointer;
  #context: Pointer;
  readonly #cpu: Pointer;
  readonly #threadpool: Pointer;
  /** A CPU backend that computes nothing: it is handed the pool to put it to sleep. */
  readonly #idleBackend: Pointer;
  #cachedDepth: { readonly depth: number; readonly at: Pointer; readonly size: number } | null = null;

  /** @throws LibraryError when llama.cpp refuses the model or the context; its log says why. */
  constructor(library: Library, settings: ModelSettings) {
    this.#library = library;
    this.#settings = settings;
    this.#model = loadModel(library, settings);
    this.#context = this.#newContext(null);
    const vocabulary = library.llama('void *llama_model_get_vocab(void *model)')(this.#model);
    this.#vocabularySize = Number(library.llama('int32_t llama_vocab_n_tokens(void *vocab)')(vocabulary));
    const addsFirst = library.llama('bool llama_vocab_get_add_bos(void *vocab)')(vocabulary) === true;
    this.#firstToken = addsFirst
      ? Number(library.llama('int32_t llama_vocab_bos(void *vocab)')(vocabulary))
      : null;
    this.#tokensAt = library.allocate('int32_t', settings.batchTokens);
    this.#tokens = new Int32Array(library.view(this.#tokensAt, settings.batchTokens * 4));
    this.#cpu = library.registry('void *ggml_backend_reg_by_name(const char *name)')('CPU') as Pointer;
    this.#threadpool = library.newThreadpool(this.#cpu, settings.threads);
    const device = library.registry('void *ggml_backend_dev_by_name(const char *name)')('CPU') as Pointer;
    this.#idleBackend = library.ggml('void *ggml_backend_dev_init(void *device, const char *params)')(
      device,
      null,
    ) as Pointer;
  }

  info(): WorkerAnswer<'load'> {
    const description = Buffer.alloc(DESCRIPTION_BYTES);
    const length = Number(
      this.#library.llama('int32_t llama_model_desc(void *model, void *buf, size_t buf_size)')(
        this.#model,
        description,
        description.length,
      ),
    );
    return {
      description: description.toString('utf8', 0, Math.min(length, DESCRIPTION_BYTES - 1)),
      sizeBytes: bytes(Number(this.#library.llama('uint64_t llama_model_size(void *model)')(this.#model))),
      parameters: Number(this.#library.llama('uint64_t llama_model_n_params(void *model)')(this.#model)),
    };
  }

  /** One repetition on an empty cache, filled to the test's depth first; only what comes after is timed. */
  run(test: BenchTest): WorkerAnswer<'run'> {
    this.#clear();
    return this.#withThreads(() => {
      if (test.depthTokens > 0) this.#fillTo(test.depthTokens);
      const start = process.hrtime.bigint();
      if (test.promptTokens > 0) this.#prompt(test.promptTokens);
      if (test.generatedTokens > 0) this.#generate(test.generatedTokens);
      return { nanoseconds: nanoseconds(Number(process.hrtime.bigint() - start)) };
    });
  }

  /**
   * Counts the experts that random tokens are routed to, layer by layer, as the engine computes them: in one batch,
   * or singly as in generation. The last layer of a batch sees only the token whose logits are asked for.
   */
  countExperts(tokens: number, singly: boolean): WorkerAnswer<'countExperts'> {
    const touched = new Map<string, Set<number>>();
    const library = this.#library;
    const callback = library.evalCallback((tensor, ask) => {
      const name = String(library.ggml('const char *ggml_get_name(void *tensor)')(tensor));
      if (!name.startsWith('ffn_moe_topk')) return !ask;
      if (!ask) {
        const seen = touched.get(name) ?? new Set<number>();
        touched.set(name, seen);
        for (const expert of readIndices(library, tensor)) seen.add(expert);
      }
      return true;
    });
    library.llama('void llama_free(void *ctx)')(this.#context);
    this.#context = this.#newContext(callback);
    this.#withThreads(() => (singly ? this.#generate(tokens) : this.#prompt(tokens)));
    const logits = library.llama('void *llama_get_logits_ith(void *ctx, int32_t i)')(
      this.#context,
      -1,
    ) as Pointer;
    const values = new Float32Array(library.view(logits, this.#vocabularySize * 4));
    return {
      distinctExperts: [...touched.values()].map((experts) => experts.size),
      logitsFinite: values.every(Number.isFinite),
    };
  }

  #newContext(evalCallback: Pointer): Pointer {
    const settings = this.#settings;
    const params: ContextParams = {
      ...this.#library.contextDefaults(),
      n_ctx: settings.contextTokens,
      n_batch: settings.batchTokens,
      n_ubatch: settings.ubatchTokens,
      n_threads: settings.threads,
      n_threads_batch: settings.threads,
      type_k: CACHE_TYPES[settings.cacheTypeK],
      type_v: CACHE_TYPES[settings.cacheTypeV],
      flash_attn_type: FLASH_ATTENTION[settings.flashAttention],
      // llama-bench and the server say false, the raw API true: a full-size cache would make windows cost nothing less.
      swa_full: false,
      cb_eval: evalCallback,
    };
    const create = this.#library.llama(
      'void *llama_init_from_model(void *model, llama_context_params params)',
    );
    const context = create(this.#model, params) as Pointer;
    if (context === null || context === 0n) throw new LibraryError('llama.cpp refused the context');
    return context;
  }

  /**
   * Works with a pool of threads that poll between graphs, as llama-bench attaches it; without one every token starts
   * threads. The pool sleeps when the work is done: left alone it would go on polling for a tenth of a second and
   * more, on the cores that the other model of an interleaved measurement needs by then.
   */
  #withThreads<T>(work: () => T): T {
    const library = this.#library;
    library.llama('void llama_attach_threadpool(void *ctx, void *threadpool, void *threadpool_batch)')(
      this.#context,
      this.#threadpool,
      null,
    );
    try {
      return work();
    } finally {
      library.pauseThreadpool(this.#cpu, this.#idleBackend, this.#threadpool);
    }
  }

  #clear(): void {
    const memory = this.#library.llama('void *llama_get_memory(void *ctx)')(this.#context);
    this.#library.llama('void llama_memory_clear(void *mem, bool data)')(memory, false);
  }

  /** Fills the cache by processing random tokens once, and from a copy of that state afterwards, as llama-bench does. */
  #fillTo(depth: number): void {
    const { llama } = this.#library;
    if (this.#cachedDepth?.depth === depth) {
      const restore = llama(
        'size_t llama_state_seq_set_data(void *ctx, void *src, size_t size, int32_t seq_id)',
      );
      if (Number(restore(this.#context, this.#cachedDepth.at, this.#cachedDepth.size, 0)) > 0) return;
      this.#clear();
    }
    this.#prompt(depth);
    const size = Number(
      llama('size_t llama_state_seq_get_size(void *ctx, int32_t seq_id)')(this.#context, 0),
    );
    const at =
      this.#cachedDepth?.size === size ? this.#cachedDepth.at : this.#library.allocate('uint8_t', size);
    llama('size_t llama_state_seq_get_data(void *ctx, void *dst, size_t size, int32_t seq_id)')(
      this.#context,
      at,
      size,
      0,
    );
    this.#cachedDepth = { depth, at, size };
  }

  #randomToken(): number {
    return Math.floor(Math.random() * this.#vocabularySize);
  }

  #prompt(tokens: number): void {
    for (let done = 0; done < tokens;) {
      const batch = Math.min(tokens - done, this.#settings.batchTokens);
      for (let index = 0; index < batch; index += 1) this.#tokens[index] = this.#randomToken();
      if (done === 0 && this.#firstToken !== null) this.#tokens[0] = this.#firstToken;
      this.#decode(batch);
      done += batch;
    }
    this.#synchronize();
  }

  #generate(tokens: number): void {
    this.#tokens[0] = this.#firstToken ?? this.#randomToken();
    for (let done = 0; done < tokens; done += 1) {
      this.#decode(1);
      this.#synchronize();
      this.#tokens[0] = this.#randomToken();
    }
  }

  #decode(tokens: number): void {
    const batch = {
      n_tokens: tokens,
      token: this.#tokensAt,
      embd: null,
      pos: null,
      n_seq_id: null,
      seq_id: null,
      logits: null,
    };
    const status = this.#library.llama('int32_t llama_decode(void *ctx, llama_batch batch)')(
      this.#context,
      batch,
    );
    if (status !== 0) throw new LibraryError(`llama_decode failed with ${String(status)}`);
  }

  #synchronize(): void {
    this.#library.llama('void llama_synchronize(void *ctx)')(this.#context);
  }
}

/**
 * Loads a model as llama-bench does.
 * @param options - `noAlloc`: reads the metadata alone, for the account of memory (`llama_params_fit` does the same).
 * @throws LibraryError when llama.cpp refuses it; its log says why.
 */
export function loadModel(
  library: Library,
  settings: Pick<ModelSettings, 'modelPath' | 'gpuLayers' | 'cpuMoeLayers'> &
    Pick<MemoryRequest, 'tensorSplit' | 'nextTokenLayers'>,
  options: { readonly noAlloc: boolean } = { noAlloc: false },
): Pointer {
  const params = {
    ...library.modelDefaults(),
    n_gpu_layers: settings.gpuLayers,
    tensor_buft_overrides: expertOverrides(library, settings.cpuMoeLayers),
    tensor_split: deviceShares(library, settings.tensorSplit),
    load_mtp: settings.nextTokenLayers === true,
    ...(options.noAlloc ? { no_alloc: true, load_mode: LOAD_MODE_NONE } : {}),
  };
  const load = library.llama('void *llama_model_load_from_file(const char *path, llama_model_params params)');
  const model = load(settings.modelPath, params) as Pointer;
  if (model === null || model === 0n) throw new LibraryError('llama.cpp refused the model');
  return model;
}

/** The shares of the devices: the engine reads as many as it could have, so the others are 0. */
function deviceShares(library: Library, shares: readonly number[] | undefined): Pointer {
  if (shares === undefined) return null;
  const most = Number(library.llama('size_t llama_max_devices()')());
  if (shares.length > most) throw new LibraryError(`the engine takes ${most} devices, not ${shares.length}`);
  const at = library.allocate('float', most);
  new Float32Array(library.view(at, most * FLOAT_BYTES)).set([
    ...shares,
    ...Array<number>(most - shares.length).fill(0),
  ]);
  return at;
}

/** A NULL-terminated list that keeps the experts of the first `layers` layers in the CPU's memory (-ncmoe). */
function expertOverrides(library: Library, layers: number): Pointer {
  if (layers === 0) return null;
  const cpu = library.ggml('void *ggml_backend_cpu_buffer_type()')();
  const at = library.allocate('llama_model_tensor_buft_override', layers + 1);
  for (let layer = 0; layer < layers; layer += 1) {
    library.write(at, layer * OVERRIDE_BYTES, 'llama_model_tensor_buft_override', {
      pattern: expertTensorsOf(layer),
      buft: cpu,
    });
  }
  library.write(at, layers * OVERRIDE_BYTES, 'llama_model_tensor_buft_override', {
    pattern: null,
    buft: null,
  });
  return at;
}

/** The values of an I32 tensor of two dimensions, whose rows may be strided (a view of a wider one). */
function readIndices(library: Library, tensor: Pointer): number[] {
  const head = library.read(tensor, 0, 'ggml_tensor_head') as {
    ne: (number | bigint)[];
    nb: (number | bigint)[];
  };
  const [columns = 0, rows = 0] = head.ne.map(Number);
  const rowBytes = Number(head.nb[1]);
  const get = library.ggml(
    'void ggml_backend_tensor_get(void *tensor, void *data, size_t offset, size_t size)',
  );
  const row = new Int32Array(columns);
  const indices: number[] = [];
  for (let index = 0; index < rows; index += 1) {
    get(tensor, row, index * rowBytes, row.byteLength);
    indices.push(...row);
  }
  return indices;
}
