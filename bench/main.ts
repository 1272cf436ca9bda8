import { measureHeaders } from './gguf-header.ts';
import { measureMemoryTable } from './memory-table.ts';
import { measurePredictions } from './predictions.ts';
import { measureStartup } from './startup.ts';

/** What `npm run bench -- NAME` measures. Figures to look at: nothing passes or fails here. */
const BENCHES: Readonly<Record<string, () => void | Promise<void>>> = {
  'gguf-header': measureHeaders,
  'memory-table': measureMemoryTable,
  predictions: measurePredictions,
  startup: measureStartup,
};

const name = process.argv[2] ?? '';
const bench = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined;
if (bench === undefined) {
  process.stderr.write(`npm run bench -- NAME, where NAME is one of: ${Object.keys(BENCHES).join(', ')}\n`);
  process.exitCode = 2;
} else {
  await bench();
}
