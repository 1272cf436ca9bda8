import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { syntheticFacts } from '../../src/cli/synthetic-facts.ts';
import { openEmbeddedEngine } from '../../src/engine/host/index.ts';
import type { EngineDescription } from '../../src/engine/index.ts';
import {
  planLayers,
  runSweep,
  summarise,
  type MeasurementRecord,
  type MeasurementRun,
  type ModelFile,
  type SweepModel,
} from '../../src/measure/index.ts';
import { startTelemetry } from '../../src/machine/host/index.ts';
import { writeSynthetic } from '../../src/model/host/index.ts';
import type { MixName, ModelShape } from '../../src/model/index.ts';
import { median, sortSamples, standardDeviation } from '../../src/stats/index.ts';
import { seconds } from '../../src/units/index.ts';
import { shapeNamed } from './models.ts';
import { printRows } from './table.ts';

const RUNS = 5;
const LIMITS = { memoryBytes: null, diskBytes: null, lastLevelCacheBytes: null };
const TESTS = [
  { promptTokens: 64, generatedTokens: 0, depthTokens: 0 },
  { promptTokens: 0, generatedTokens: 32, depthTokens: 0 },
] as const;

/** Models that fit a machine of 24 GiB whole, weights repacked: experts are left out of the two with experts. */
function subjects(): { name: string; shape: ModelShape; mix: MixName }[] {
  const dense = shapeNamed('llama-3.2-3b:Q4_K_M');
  const experts = shapeNamed('qwen3-30b-a3b:Q4_K_M');
  const oss = shapeNamed('gpt-oss-20b:MXFP4');
  return [
    { name: 'llama-3.2-3b:Q4_K_M', ...dense },
    {
      name: 'qwen3-30b-a3b:Q4_K_M with 32 of 128 experts',
      mix: experts.mix,
      shape: withExperts(experts.shape, 32),
    },
    { name: 'gpt-oss-20b:MXFP4 with 16 of 32 experts', mix: oss.mix, shape: withExperts(oss.shape, 16) },
  ];
}

function withExperts(shape: ModelShape, count: number): ModelShape {
  if (shape.experts === null) throw new Error(`${shape.id} has no experts`);
  return { ...shape, experts: { ...shape.experts, count } };
}

/**
 * Layer samples extrapolated against the whole model. All three files are loaded together and their repetitions
 * alternate, so that a machine that slows down for a minute slows all of them.
 */
export async function compareLayers(folder: string): Promise<void> {
  // The engine's process is started from the sources, which Node reads with tsx.
  process.env['NODE_OPTIONS'] = '--import tsx';
  const engine = openEmbeddedEngine({ variant: 'cpu' });
  const description = await engine.describe();
  for (const { name, shape, mix } of subjects()) {
    const { samples } = planLayers(shape, mix, 'auto', LIMITS);
    const [whole] = planLayers(shape, mix, 'all', LIMITS).samples;
    if (whole === undefined) throw new Error(`${name} has no layers`);
    const model = await prepared(name, shape, mix, [...samples, whole], folder);
    for (const test of TESTS) {
      const rows: string[][] = [];
      const ratios: number[] = [];
      let covered = 0;
      let widest = 0;
      for (let run = 0; run < RUNS; run += 1) {
        const record = await measure(model, test, engine, description);
        const isWhole = (measured: MeasurementRun): boolean => measured.layers?.length === shape.layers;
        const estimate = summarise({
          ...record,
          runs: record.runs.filter((part) => !isWhole(part)),
        })?.tokensPerSecond;
        const truth = summarise({ ...record, runs: record.runs.filter(isWhole) })?.tokensPerSecond;
        const range = estimate?.interval80;
        if (!estimate || !truth || !range) throw new Error(`${name}: a run made no number`);
        const inside = range.low <= truth.value && truth.value <= range.high;
        if (inside) covered += 1;
        const halfWidth = (range.high - range.low) / 2 / estimate.value;
        widest = Math.max(widest, halfWidth);
        ratios.push(estimate.value / truth.value);
        rows.push([
          String(run + 1),
          estimate.value.toFixed(2),
          `${range.low.toFixed(2)} to ${range.high.toFixed(2)} (±${(halfWidth * 100).toFixed(1)} %)`,
          truth.value.toFixed(2),
          (estimate.value / truth.value).toFixed(3),
          inside ? 'yes' : 'no',
        ]);
      }
      const testLabel = test.promptTokens > 0 ? `pp${test.promptTokens}` : `tg${test.generatedTokens}`;
      process.stdout.write(`### ${name}, ${testLabel}\n\n`);
      const counts = samples.map((layers) => layers.length).join(' and ');
      printRows(['run', `from ${counts} layers`, '80 % interval', 'whole', 'ratio', 'inside'], rows);
      const spread = standardDeviation(ratios.map(Math.log));
      process.stdout.write(
        `median ratio ${median(sortSamples(ratios)).toFixed(3)}, inside in ${covered} of ${RUNS}, widest ±${(widest * 100).toFixed(1)} %, standard deviation of the log ratio ${spread.toFixed(3)}\n\n`,
      );
    }
  }
}

async function prepared(
  name: string,
  shape: ModelShape,
  mix: MixName,
  samples: readonly (readonly number[])[],
  folder: string,
): Promise<SweepModel> {
  const files: ModelFile[] = [];
  for (const layers of samples) {
    const file = path.join(folder, `${shape.id}-${mix}-${layers.length}.gguf`);
    const written = await writeSynthetic({ shape, mix, layers, path: file });
    files.push({ path: file, bytes: written.bytes, layers });
  }
  return {
    facts: syntheticFacts(name, shape, mix),
    open: () => Promise.resolve({ files, warnings: [], release: () => undefined }),
  };
}

async function measure(
  model: SweepModel,
  test: (typeof TESTS)[number],
  engine: ReturnType<typeof openEmbeddedEngine>,
  description: EngineDescription,
): Promise<MeasurementRecord> {
  const settings = {
    gpuLayers: -1,
    cpuMoeLayers: 0,
    batchTokens: 2048,
    ubatchTokens: 512,
    cacheTypeK: 'f16',
    cacheTypeV: 'f16',
    flashAttention: 'auto',
    threads: 2,
  } as const;
  const run = randomUUID();
  const [record] = await runSweep(
    {
      benchmark: { id: 'ridgepoint.fidelity', version: 1 },
      key: run,
      run,
      points: [{ model, settings, test }],
      finished: new Set(),
      repetitions: { count: 'adaptive', budgetSeconds: seconds(24) },
      limits: { loadMilliseconds: 600_000, repetitionMilliseconds: 600_000 },
    },
    {
      engine,
      description,
      machine: { stateHash: '', state: {}, cpu: null, memoryBytes: null, gpus: [], operatingSystem: null },
      observer: { now: () => seconds(performance.now() / 1000), watch: (pid) => startTelemetry({ pid }) },
      append: () => Promise.resolve(),
      newId: randomUUID,
      timestamp: () => new Date().toISOString(),
      availableBytes: () => null,
      onEvent: () => undefined,
    },
    new AbortController().signal,
  );
  if (record === undefined || record.outcome !== 'measured') {
    throw new Error(record?.failure?.sentence ?? 'nothing was measured');
  }
  return record;
}
