import koffi from 'koffi';
import path from 'node:path';
import { embeddedVariants } from '../../src/engine/host/index.ts';

koffi.struct('llama_model_quantize_params', {
  nthread: 'int32_t',
  ftype: 'int',
  output_tensor_type: 'int',
  token_embedding_type: 'int',
  allow_requantize: 'bool',
  quantize_output_tensor: 'bool',
  only_copy: 'bool',
  pure: 'bool',
  keep_split: 'bool',
  dry_run: 'bool',
  imatrix: 'void *',
  kv_overrides: 'void *',
  tt_overrides: 'void *',
  prune_layers: 'void *',
  max_buf_size: 'size_t',
});
koffi.struct('llama_model_imatrix_data', { name: 'const char *', data: 'float *', size: 'size_t' });
const LOG = koffi.proto('void ridgepoint_quantise_log(int level, const char *text, void *user)');

/** `[ 3/ 9] blk.0.attn_k.weight - [ 64, 32, 1, 1], type = f16, size = 0.02 MiB -> 0.01 MiB (q4_K)` */
const TENSOR_LINE =
  /\[ *\d+\/ *\d+\] +(\S+) +- +\[[^\]]*\], type = +(\S+), size = +[\d.]+ MiB(?: -> +[\d.]+ MiB \((\S+)\))?/g;

interface DryRun {
  readonly fileType: number;
  readonly importanceMatrix: boolean;
}

/** The types that `llama_model_quantize` would give the tensors of a file, by their names: nothing is written. */
type Quantise = (file: string, run: DryRun) => ReadonlyMap<string, string>;

/** The quantiser of the embedded engine; null where the engine is not installed or not for Linux. */
export function engineQuantiser(): Quantise | null {
  const directory = embeddedVariants().find(({ variant }) => variant === 'cpu')?.directory ?? null;
  if (directory === null || process.platform !== 'linux') return null;
  koffi.load(path.join(directory, 'libggml-base.so'));
  koffi.load(path.join(directory, 'libggml.v0.5.0.so'));
  const llama = koffi.load(path.join(directory, 'libllama.v0.5.0.so'));
  const defaults = llama.func('llama_model_quantize_params llama_model_quantize_default_params()');
  const quantise = llama.func(
    'uint32_t llama_model_quantize(const char *from, const char *to, llama_model_quantize_params *params)',
  );
  const pieces: string[] = [];
  const callback = koffi.register((_level: number, text: string) => pieces.push(text), koffi.pointer(LOG));
  llama.func('void llama_log_set(ridgepoint_quantise_log *log, void *user)')(callback, null);
  const matrix = koffi.alloc('llama_model_imatrix_data', 2);
  const values = koffi.alloc('float', 1);
  koffi.encode(values, 'float', 1);
  koffi.encode(matrix, koffi.array('llama_model_imatrix_data', 2), [
    { name: 'none', data: values, size: 1 },
    { name: null, data: null, size: 0 },
  ]);
  return (file, { fileType, importanceMatrix }) => {
    pieces.length = 0;
    const params = {
      ...(defaults() as object),
      nthread: 1,
      ftype: fileType,
      allow_requantize: true,
      dry_run: true,
      imatrix: importanceMatrix ? matrix : null,
    };
    const failed = quantise(file, `${file}.never`, params) as number;
    const log = pieces.join('');
    if (failed !== 0) throw new Error(`llama-quantize refuses ${file}: ${log.slice(-400)}`);
    const lines = [...log.matchAll(TENSOR_LINE)];
    return new Map(lines.map(([, name = '', from = '', to]) => [name, (to ?? from).toUpperCase()]));
  };
}
