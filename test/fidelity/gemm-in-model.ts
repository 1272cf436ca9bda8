import { openEmbeddedEngine } from '../../src/engine/host/index.ts';
import { operationsOf } from '../../src/measure/index.ts';
import { parameterCount, tensorsOf } from '../../src/model/index.ts';
import { comparePairs, median, sortSamples } from '../../src/stats/index.ts';
import { shapeNamed, writeModel } from './models.ts';
import { printRows } from './table.ts';

/** A dense model whose matrices are wide, and that two cores prefill in a few seconds. */
const MODEL = 'llama-3.2-1b:Q8_0';
const TYPE = 'Q8_0';
const PROMPT = 512;
const THREADS = 2;
const PAIRS = 8;

/** The rate of single products of a model's own shapes against what its prompt processing comes to. */
export async function compareModel(folder: string): Promise<void> {
  const { shape, mix } = shapeNamed(MODEL);
  const file = await writeModel(MODEL, folder);
  process.env['NODE_OPTIONS'] = '--import tsx';
  const engine = openEmbeddedEngine({ variant: 'cpu' });
  const loaded = await engine.load(
    {
      modelPath: file,
      contextTokens: PROMPT,
      batchTokens: PROMPT,
      ubatchTokens: PROMPT,
      threads: THREADS,
      gpuLayers: 0,
      cpuMoeLayers: 0,
      cacheTypeK: 'f16',
      cacheTypeV: 'f16',
      flashAttention: 'auto',
    },
    { loadMilliseconds: 600_000, repetitionMilliseconds: 600_000 },
  );
  const probe = engine.probe();
  try {
    // Matrices that a whole prompt is multiplied with; embeddings are looked up, and the output sees its last token.
    const matrices = tensorsOf(shape, mix).filter(
      ({ name, dims }) => dims.length === 2 && name.startsWith('blk.'),
    );
    const kinds = new Map<string, { rows: number; columns: number; count: number }>();
    for (const { dims } of matrices) {
      const [columns = 0, rows = 0] = dims;
      const key = `${rows} x ${columns}`;
      const kind = kinds.get(key) ?? { rows, columns, count: 0 };
      kind.count += 1;
      kinds.set(key, kind);
    }
    const multiplied = [...kinds.values()].reduce(
      (sum, { rows, columns, count }) => sum + rows * columns * count,
      0,
    );
    const modelRate = async (): Promise<number> => {
      const test = { promptTokens: PROMPT, generatedTokens: 0, depthTokens: 0 };
      const [time] = await loaded.run({ test, repetitions: 1 });
      if (time === undefined) throw new Error('no run');
      return PROMPT / (time / 1e9);
    };
    /** Time of all products of one prompt, each kind timed by itself. */
    const productSeconds = async (rates: Map<string, number[]>): Promise<number> => {
      let total = 0;
      for (const [key, { rows, columns, count }] of kinds) {
        const product = { rows, columns, batch: PROMPT };
        const samples = await probe.multiply({
          device: 'CPU',
          type: TYPE,
          ...product,
          threads: THREADS,
          milliseconds: 300,
        });
        const time = median(sortSamples(samples)) / 1e9;
        rates.set(key, [...(rates.get(key) ?? []), operationsOf(product) / time]);
        total += time * count;
      }
      return total;
    };
    const rates = new Map<string, number[]>();
    await modelRate();
    await productSeconds(new Map());
    const pairs: { model: number; products: number }[] = [];
    for (let pair = 0; pair < PAIRS; pair += 1) {
      if (pair % 2 === 0) {
        const model = await modelRate();
        pairs.push({ model, products: await productSeconds(rates) });
      } else {
        const products = await productSeconds(rates);
        pairs.push({ model: await modelRate(), products });
      }
    }
    process.stdout.write(
      `${MODEL}: ${parameterCount(shape)} parameters, ${multiplied} of them in matrices that every token of a prompt is multiplied with\n\n`,
    );
    printRows(
      ['product (M x K), N = 512', 'in the model', 'GFLOP/s'],
      [...kinds].map(([key, { count }]) => [
        key,
        `${count} times`,
        (median(sortSamples(rates.get(key) ?? [Number.NaN])) / 1e9).toFixed(1),
      ]),
    );
    const modelFlops = pairs.map(({ model }) => 2 * multiplied * model);
    const nominal = pairs.map(({ model }) => 2 * parameterCount(shape) * model);
    const single = pairs.map(({ products }) => (2 * multiplied * PROMPT) / products);
    const line = (name: string, values: readonly number[]): string[] => [
      name,
      (median(sortSamples(values)) / 1e9).toFixed(1),
    ];
    printRows(
      ['rate', 'GFLOP/s'],
      [
        line('products alone, weighted as in the model', single),
        line('pp512 x 2 x parameters of these matrices', modelFlops),
        line('pp512 x 2 x all parameters', nominal),
      ],
    );
    const { ratio, interval } = comparePairs(
      pairs.map((_, index) => [single[index] ?? Number.NaN, modelFlops[index] ?? Number.NaN]),
    );
    process.stdout.write(
      `model / products alone: median ratio ${ratio.toFixed(3)} (95 %: ${interval.low.toFixed(3)} to ${interval.high.toFixed(3)})\n`,
    );
  } finally {
    await probe.end();
    await loaded.end();
  }
}
