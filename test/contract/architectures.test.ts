import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { readModelRecords } from '../../src/catalog/host/index.ts';
import { embeddedVariants } from '../../src/engine/host/index.ts';
import { writeSynthetic } from '../../src/model/host/index.ts';
import {
  isSyntheticArchitecture,
  parameterCount,
  tensorsOf,
  weightBytes,
  type ModelShape,
} from '../../src/model/index.ts';
import { fewestLayers, smallShape } from '../fixtures/small-shape.ts';
import { TINY_HYBRID_ARCHITECTURES, tinyHybrid } from '../fixtures/tiny-hybrids.ts';
import { buildLlamaBench } from '../setup/llama-bench.ts';

const run = promisify(execFile);

/** A type that every row of the small shapes fits, and whose arithmetic every build has. */
const MIX = 'Q4_0';
const LOG_BYTES = 64 * 2 ** 20;
/** As many as the program generates. */
const GENERATED_TOKENS = 16;
/** Of the experts that uniform routing touches; a collapsed router touches a fifth of them, chance leaves 0.7. */
const LEAST_UNIFORM = 0.6;

interface SmallModel {
  readonly id: string;
  readonly architecture: string;
  readonly shape: ModelShape;
  readonly layers: readonly number[];
}

const isHybrid = (architecture: string): boolean =>
  TINY_HYBRID_ARCHITECTURES.some((hybrid) => hybrid === architecture);

/** One small model for every set of tensors that the models of the catalogue with plain attention have. */
function plainModels(): SmallModel[] {
  const found = new Map<string, SmallModel>();
  for (const record of readModelRecords()) {
    const { id, architecture } = record;
    if (!isSyntheticArchitecture(architecture) || isHybrid(architecture)) continue;
    const shape = smallShape(record);
    const layers = fewestLayers(shape);
    const names = tensorsOf(shape, MIX, layers).map(({ name }) => name.replace(/^blk\.\d+\./, ''));
    const key = [architecture, ...[...new Set(names)].sort()].join(' ');
    if (!found.has(key)) found.set(key, { id, architecture, shape, layers });
  }
  return [...found.values()];
}

const MODELS: readonly SmallModel[] = [
  ...plainModels(),
  ...TINY_HYBRID_ARCHITECTURES.map(tinyHybrid).map((shape) => ({
    id: shape.id,
    architecture: shape.architecture,
    shape,
    layers: shape.feedForwardLength.map((_, layer) => layer),
  })),
];
const fileOf = (folder: string, { id }: Pick<SmallModel, 'id'>): string => path.join(folder, `${id}.gguf`);

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ridgepoint-architectures-'));
  for (const model of MODELS) {
    await writeSynthetic({ ...model, mix: MIX, path: fileOf(folder, model) });
  }
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const experts = z.object({ distinctExperts: z.array(z.int()), logitsFinite: z.boolean() });
const line = z.object({
  modelPath: z.string(),
  parameters: z.int(),
  sizeBytes: z.int(),
  prompt: experts,
  generation: experts,
});

const cpu = embeddedVariants().find(({ variant }) => variant === 'cpu')?.directory ?? null;

describe.skipIf(cpu === null)('the synthetic model of an architecture in the engine', () => {
  let answers: ReadonlyMap<string, z.infer<typeof line>> = new Map();
  let log = '';

  beforeAll(async () => {
    const program = path.join(import.meta.dirname, 'synthetic-logits.program.ts');
    const files = MODELS.map((model) => fileOf(folder, model));
    // The lines of models before one that ends the process are still there.
    const output = await run(process.execPath, [program, cpu ?? '', ...files], {
      maxBuffer: LOG_BYTES,
    }).catch((error: unknown) => z.object({ stdout: z.string(), stderr: z.string() }).parse(error));
    const lines = output.stdout.split('\n').filter((text) => text.startsWith('{'));
    answers = new Map(
      lines.map((text) => line.parse(JSON.parse(text))).map((each) => [each.modelPath, each]),
    );
    log = output.stderr.split('\n').slice(-5).join('\n');
  });

  it.each(MODELS)(
    '$architecture ($id) runs with finite logits and the weights that were planned',
    (model) => {
      const answer = answers.get(fileOf(folder, model));
      if (answer === undefined) throw new Error(`the engine ended before it had run this model:\n${log}`);
      expect(answer).toMatchObject({
        parameters: parameterCount(model.shape, model.layers),
        sizeBytes: weightBytes(model.shape, MIX, model.layers),
        prompt: { logitsFinite: true },
        generation: { logitsFinite: true },
      });
    },
  );

  it.each(MODELS.filter(({ shape }) => shape.experts !== null))(
    '$architecture ($id) routes tokens as uniformly as a trained router',
    ({ shape, layers, ...model }) => {
      const routed = answers.get(fileOf(folder, model))?.generation.distinctExperts ?? [];
      const { count = 0, used = 0, onLayers = [] } = shape.experts ?? {};
      expect(routed).toHaveLength(layers.filter((layer) => onLayers[layer] === true).length);
      const uniform = count * (1 - (1 - used / count) ** GENERATED_TOKENS);
      expect(Math.min(...routed) / uniform).toBeGreaterThan(LEAST_UNIFORM);
    },
  );
});

const benchRow = z.object({
  model_filename: z.string(),
  n_prompt: z.int(),
  n_gen: z.int(),
  avg_ts: z.number(),
});

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('the official llama-bench', () => {
  it('loads every architecture and runs pp16 and tg4', async () => {
    const models = MODELS.flatMap((model) => ['-m', fileOf(folder, model)]);
    const tests = ['-p', '16', '-n', '4', '-r', '1', '-t', '1', '-ngl', '0', '-o', 'jsonl'];
    const { stdout } = await run(await buildLlamaBench(), [...models, ...tests], { maxBuffer: LOG_BYTES });
    const rows = stdout
      .trim()
      .split('\n')
      .map((text) => benchRow.parse(JSON.parse(text)));
    expect(rows.filter(({ avg_ts }) => !(avg_ts > 0))).toEqual([]);
    expect(rows.map(({ model_filename, n_prompt, n_gen }) => [model_filename, n_prompt, n_gen])).toEqual(
      MODELS.flatMap((model) => [
        [fileOf(folder, model), 16, 0],
        [fileOf(folder, model), 0, 4],
      ]),
    );
  });
});
