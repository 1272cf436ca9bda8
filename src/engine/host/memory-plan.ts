import { CACHE_TYPES } from '../cache-types.ts';
import type { ContextSettings, MemoryRequest } from '../memory-request.ts';
import type { WorkerAnswer } from '../protocol.ts';
import { bytes } from '../../units/index.ts';
import { LibraryError, type ContextParams, type Library, type Pointer } from './bindings.ts';
import { FLASH_ATTENTION, loadModel } from './session.ts';

type PlannedContext = WorkerAnswer<'planMemory'>['contexts'][number];

/**
 * Where libstdc++ keeps what a `std::map<ggml_backend_buffer_type_t, {model, context, compute}>` holds: the header of
 * its tree follows the comparator, and a node has its colour, parent, left and right child before the pair of key and
 * values (bits/stl_tree.h, `_Rb_tree_node_base`). Bytes.
 */
const NODE = { left: 16, right: 24, bufferType: 32, model: 40, context: 48, compute: 56 } as const;

/** `LLAMA_CONTEXT_TYPE_MTP`, include/llama.h. */
const DRAFT_CONTEXT = 1;

/** The name of `llama_get_memory_breakdown(const llama_context *)` (src/llama-ext.h), which is C++ and no part of the C API. */
const BREAKDOWN = '_Z26llama_get_memory_breakdownPK13llama_context';

/**
 * Loads a model with `no_alloc`, so that nothing is read or allocated but its metadata, and lays out one context after
 * the other.
 * @throws LibraryError when llama.cpp refuses the model.
 */
export function planMemory(library: Library, request: MemoryRequest): WorkerAnswer<'planMemory'> {
  if (process.platform !== 'linux') {
    throw new LibraryError(
      `the engine's account of its memory can only be read on Linux, not on ${process.platform}`,
    );
  }
  const model = loadModel(library, request, { noAlloc: true });
  const log: string[] = [];
  const stopLog = library.captureLog((text) => log.push(text));
  try {
    return {
      contexts: request.contexts.map((settings) => {
        log.length = 0;
        return planContext(library, model, settings, log);
      }),
    };
  } finally {
    stopLog();
    library.llama('void llama_model_free(void *model)')(model);
  }
}

function planContext(
  library: Library,
  model: Pointer,
  settings: ContextSettings,
  log: readonly string[],
): PlannedContext {
  const params: ContextParams = {
    ...library.contextDefaults(),
    n_ctx: settings.contextTokens,
    n_seq_max: settings.sequences,
    kv_unified: settings.unifiedCache,
    n_batch: settings.batchTokens,
    n_ubatch: settings.ubatchTokens,
    type_k: CACHE_TYPES[settings.cacheTypeK],
    type_v: CACHE_TYPES[settings.cacheTypeV],
    flash_attn_type: FLASH_ATTENTION[settings.flashAttention],
    swa_full: false,
    n_rs_seq: settings.rollbackStates ?? 0,
    ...(settings.drafts === true
      ? { ctx_type: DRAFT_CONTEXT, n_outputs_max: settings.sequences, n_outputs_max_per_seq: 1 }
      : {}),
  };
  const create = library.llama('void *llama_init_from_model(void *model, llama_context_params params)');
  const context = create(model, params) as Pointer;
  if (context === null || context === 0n) return { log: log.join(''), buffers: null };
  try {
    return { log: log.join(''), buffers: readBreakdown(library, context) };
  } finally {
    library.llama('void llama_free(void *ctx)')(context);
  }
}

function readBreakdown(library: Library, context: Pointer): NonNullable<PlannedContext['buffers']> {
  const map = library.llama(`ridgepoint_std_map ${BREAKDOWN}(void *ctx)`)(context) as { root: Pointer };
  const read = (at: Pointer, offset: number): Pointer => library.read(at, offset, 'void *') as Pointer;
  const size = (at: Pointer, offset: number): number => Number(library.read(at, offset, 'size_t'));
  const buffers: NonNullable<PlannedContext['buffers']> = [];
  const visit = (node: Pointer): void => {
    if (node === null || node === 0n) return;
    visit(read(node, NODE.left));
    const type = read(node, NODE.bufferType);
    buffers.push({
      name: String(library.ggml('const char *ggml_backend_buft_name(void *buft)')(type)),
      isHost: library.ggml('bool ggml_backend_buft_is_host(void *buft)')(type) === true,
      modelBytes: bytes(size(node, NODE.model)),
      contextBytes: bytes(size(node, NODE.context)),
      computeBytes: bytes(size(node, NODE.compute)),
    });
    visit(read(node, NODE.right));
  };
  visit(map.root);
  return buffers;
}
