/**
 * `npm run fidelity`: holds Ridgepoint against the official llama-bench and against whole models, on this machine, and
 * prints the tables of docs/fidelity.md. It takes about half an hour and 15 GB of disk, and wants a quiet machine.
 * `npm run fidelity -- engine`, `-- labels`, `-- layers` and `-- memory` run one part; the tables of the last are in
 * docs/memory.md. `-- stream`, `-- search` and `-- products` hold the probes against STREAM, against every shape and
 * against a model; their tables are in docs/ceilings.md. `-- calibration qwen2.5-1.5b:Q8_0 phi-2:Q6_K` holds
 * predictions that were calibrated here against whole models, those named, and adds what it finds to
 * data/predict/own-machine.json for docs/accuracy.md.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { compareCalibration } from './calibration.ts';
import { compareEngines } from './engine-parity.ts';
import { compareModel } from './gemm-in-model.ts';
import { compareSearches } from './gemm-search.ts';
import { compareLabels } from './labels.ts';
import { compareLayers } from './layer-sampling.ts';
import { compareStream } from './stream.ts';
import { compareAllMemory } from './memory.ts';

const parts = {
  engine: compareEngines,
  labels: compareLabels,
  layers: compareLayers,
  memory: compareAllMemory,
  stream: compareStream,
  search: compareSearches,
  products: compareModel,
  calibration: () => compareCalibration(),
};

const wanted = process.argv.slice(2);
const folder = mkdtempSync(path.join(tmpdir(), 'ridgepoint-fidelity-'));
try {
  for (const [name, run] of Object.entries(parts)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    process.stdout.write(`\n## ${name}\n\n`);
    await run(folder);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
