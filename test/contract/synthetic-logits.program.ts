/**
 * Started by `architectures.test.ts` with the folder of the engine's libraries and model files as arguments: loads
 * each file into this one process, runs a prompt and a generation, and prints a line of JSON for it.
 */
import { openLibrary } from '../../src/engine/host/bindings.ts';
import { Session } from '../../src/engine/host/session.ts';

const PROMPT_TOKENS = 16;
/** In generation every layer routes every token. */
const GENERATED_TOKENS = 16;

const [directory = '', ...files] = process.argv.slice(2);
const library = openLibrary(directory);
library.registry('void ggml_backend_load_all_from_path(const char *dir_path)')(directory);
library.llama('void llama_backend_init()')();

for (const modelPath of files) {
  const session = new Session(library, {
    modelPath,
    contextTokens: 256,
    batchTokens: 64,
    ubatchTokens: 64,
    threads: 1,
    gpuLayers: 0,
    cpuMoeLayers: 0,
    cacheTypeK: 'f16',
    cacheTypeV: 'f16',
    flashAttention: 'auto',
  });
  const { parameters, sizeBytes } = session.info();
  const prompt = session.countExperts(PROMPT_TOKENS, false);
  const generation = session.countExperts(GENERATED_TOKENS, true);
  process.stdout.write(`${JSON.stringify({ modelPath, parameters, sizeBytes, prompt, generation })}\n`);
}
// llama.cpp's own threads and static destructors have nothing left to do, and some crash when they try.
process.exit(0);
