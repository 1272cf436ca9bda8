import { readModelRecords } from '../src/catalog/host/index.ts';
import {
  COMPUTE_BACKENDS,
  DEFAULT_CONTEXT,
  memoryOf,
  ON_DEVICE,
  shapeOf,
  tensorsOf,
  type ModelWeights,
} from '../src/model/index.ts';
import { median, sortSamples } from '../src/stats/index.ts';

/** Contexts of each model: from a short prompt to what the longest models take. */
const CONTEXTS = Array.from({ length: 10 }, (_, step) => 2048 * 2 ** step);
const RUNS = 7;
/** The goal of the project: a table of everything while a page is drawn. */
const GOAL_MILLISECONDS = 1000;

/** Prints how long the memory of the whole catalogue takes, at ten contexts for each model. */
export function measureMemoryTable(): void {
  const records = readModelRecords();
  const makeWeights = (): ModelWeights[] =>
    records.map((record) => {
      const shape = shapeOf(record);
      return { shape, tensors: tensorsOf(shape, 'Q4_K_M') };
    });
  const tensors: number[] = [];
  const tables: number[] = [];
  let models = 0;
  for (let run = 0; run < RUNS; run += 1) {
    const start = process.cpuUsage();
    const weights = makeWeights();
    const made = process.cpuUsage(start);
    for (const each of weights) {
      for (const contextTokens of CONTEXTS) {
        memoryOf(each, { ...DEFAULT_CONTEXT, contextTokens }, ON_DEVICE, COMPUTE_BACKENDS.vulkan);
      }
    }
    const all = process.cpuUsage(start);
    tensors.push((made.user + made.system) / 1000);
    tables.push((all.user + all.system - made.user - made.system) / 1000);
    models = weights.length;
  }
  const typical = (values: readonly number[]): number => median(sortSamples(values));
  const table = typical(tables);
  const lines = [
    `${models} models, ${CONTEXTS.length} contexts each, processor time, median of ${RUNS} runs`,
    `tensors of all models   ${typical(tensors).toFixed(0)} ms`,
    `memory at all contexts  ${table.toFixed(0)} ms, ${((table / models / CONTEXTS.length) * 1000).toFixed(0)} us each`,
    `ratio to the goal       ${(table / GOAL_MILLISECONDS).toFixed(2)} (goal: ${GOAL_MILLISECONDS} ms)`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
