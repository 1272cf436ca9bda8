import { existsSync } from 'node:fs';
import { mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  EngineFailure,
  type BenchTest,
  type Engine,
  type EngineLimits,
  type FailureKind,
  type LoadedModel,
  type ModelSettings,
} from '../../src/engine/index.ts';
import { writeSynthetic } from '../../src/model/host/index.ts';
import { parameterCount, weightBytes, type MixName } from '../../src/model/index.ts';
import { unknownArchitecture } from '../fixtures/unknown-architecture.ts';
import { tinyShape, type TinyArchitecture } from '../fixtures/tiny-shapes.ts';

export interface ContractOptions {
  /** Kinds of failure when the engine is stopped: a GPU that stops answering is called a hang. */
  readonly stopped?: FailureKind;
  /** Layers on the GPU. */
  readonly gpuLayers?: number;
  /** true on a device in software: takes shorter prompts there. */
  readonly slow?: boolean;
}

const GENEROUS: EngineLimits = { loadMilliseconds: 60_000, repetitionMilliseconds: 60_000 };
/** Long enough for a tiny model to load, short enough to wait for. */
const SHORT: EngineLimits = { loadMilliseconds: 5_000, repetitionMilliseconds: 500 };
/** Many seconds of work on the tiny model, so that it is running when something happens to it. */
const LONG: BenchTest = { promptTokens: 0, generatedTokens: 65_000, depthTokens: 0 };
const LONG_CONTEXT = { contextTokens: 65_536 };

/** The suite that every engine passes, on models of a few megabytes. */
export function describeEngineContract(
  name: string,
  open: () => Engine | Promise<Engine>,
  { stopped = 'timed-out', gpuLayers = 0, slow = false }: ContractOptions = {},
): void {
  describe(`${name}, as an engine`, () => {
    let folder = '';
    let dense = '';

    const write = async (architecture: TinyArchitecture, mix: MixName): Promise<string> => {
      const target = path.join(folder, `${architecture}-${mix}.gguf`);
      await writeSynthetic({ shape: tinyShape(architecture), mix, path: target });
      return target;
    };

    beforeAll(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'ridgepoint-contract-'));
      dense = await write('llama', 'Q4_K_M');
    });
    afterAll(async () => {
      await rm(folder, { recursive: true, force: true });
    });

    const settings = (modelPath: string, changes: Partial<ModelSettings> = {}): ModelSettings => ({
      modelPath,
      contextTokens: 256,
      batchTokens: 64,
      ubatchTokens: 64,
      threads: 2,
      gpuLayers,
      cpuMoeLayers: 0,
      cacheTypeK: 'f16',
      cacheTypeV: 'f16',
      flashAttention: 'auto',
      ...changes,
    });

    /** Loads, hands the model over, and ends it whatever happens. */
    const withModel = async <T>(
      chosen: ModelSettings,
      use: (model: LoadedModel) => Promise<T>,
      { limits = GENEROUS, signal }: { limits?: EngineLimits; signal?: AbortSignal } = {},
    ): Promise<T> => {
      const engine = await open();
      const model = await engine.load(chosen, limits, signal);
      try {
        return await use(model);
      } finally {
        await model.end();
      }
    };

    const failureOf = async (work: Promise<unknown>): Promise<EngineFailure> => {
      const outcome = await work.then(
        () => new Error('it succeeded'),
        (error: unknown) => error,
      );
      if (!(outcome instanceof EngineFailure)) throw outcome;
      return outcome;
    };

    const pp16: BenchTest = { promptTokens: 16, generatedTokens: 0, depthTokens: 0 };

    it('describes itself, its build and at least one device', async () => {
      const engine = await open();
      const description = await engine.describe();
      expect(description.id).toBe(engine.id);
      expect(description.devices.length).toBeGreaterThan(0);
      expect(description.devices.every((device) => device.name !== '')).toBe(true);
      expect(description.version ?? description.buildCommit).not.toBe('');
    });

    it.each([
      ['pp', pp16],
      ['tg', { promptTokens: 0, generatedTokens: 8, depthTokens: 0 }],
      ['pg', { promptTokens: 16, generatedTokens: 8, depthTokens: 0 }],
      ['tg at a depth', { promptTokens: 0, generatedTokens: 8, depthTokens: 64 }],
    ])('gives as many times for %s as it is asked for', async (_, test) => {
      await withModel(settings(dense), async (model) => {
        const samples = await model.run({ test, repetitions: 3 });
        expect(samples).toHaveLength(3);
        expect(samples.every((sample) => Number.isFinite(sample) && sample > 0)).toBe(true);
      });
    });

    it('does not time the filling of the cache', async () => {
      const depthTokens = slow ? 256 : 1024;
      const deep = settings(dense, { contextTokens: 2048 });
      await withModel(deep, async (model) => {
        const generated = { promptTokens: 0, generatedTokens: 1 };
        const [deepest = 0] = await model.run({
          test: { ...generated, depthTokens },
          repetitions: 1,
        });
        const [prompt = 0] = await model.run({
          test: { promptTokens: depthTokens, generatedTokens: 0, depthTokens: 0 },
          repetitions: 1,
        });
        expect(deepest).toBeLessThan(prompt);
      });
    });

    it('tells what the model is', async () => {
      await withModel(settings(dense), async (model) => {
        await model.run({ test: pp16, repetitions: 1 });
        const shape = tinyShape('llama');
        expect(model.info?.description).toMatch(/^llama .*Q4_K/);
        expect(model.info?.sizeBytes).toBe(weightBytes(shape, 'Q4_K_M'));
        expect(model.info?.parameters).toBe(parameterCount(shape));
      });
    });

    it.each([
      ['qwen3moe', 'Q4_K_M'],
      ['gpt-oss', 'MXFP4'],
    ] as const)('runs a %s model in %s', async (architecture, mix) => {
      await withModel(settings(await write(architecture, mix)), async (model) => {
        const test = { promptTokens: 16, generatedTokens: 4, depthTokens: 0 };
        expect(await model.run({ test, repetitions: 1 })).toHaveLength(1);
      });
    });

    const refused = async (modelPath: string): Promise<EngineFailure> =>
      failureOf(withModel(settings(modelPath), (model) => model.run({ test: pp16, repetitions: 1 })));

    it.each([
      ['a missing file', async () => path.join(folder, 'missing.gguf')],
      ['a folder', async () => folder],
      [
        'a file cut short',
        async () => {
          const cut = await write('qwen2', 'Q4_K_M');
          await truncate(cut, 500_000);
          return cut;
        },
      ],
      ['an unknown architecture', async () => unknownArchitecture(path.join(folder, 'nonesuch.gguf'))],
    ])('refuses %s with a sentence that names it', async (_, make) => {
      const modelPath = await make();
      const failure = await refused(modelPath);
      expect(['load-failed', 'unsupported']).toContain(failure.kind);
      expect(failure.message).toContain(modelPath);
      expect(failure.message).not.toContain('\n');
    });

    it('says why a quantised V cache needs flash attention', async () => {
      const chosen = settings(dense, { cacheTypeV: 'q8_0', flashAttention: 'off' });
      const failure = await failureOf(
        withModel(chosen, (model) => model.run({ test: pp16, repetitions: 1 })),
      );
      expect(failure.kind).toBe('unsupported');
      expect(failure.message).toMatch(/V cache/i);
    });

    it('can be ended twice', async () => {
      await withModel(settings(dense), async (model) => {
        await model.end();
        await model.end();
        expect(model.processId).toBeNull();
      });
    });

    it('stops on abort, with its reason, and leaves no process behind', async () => {
      const abort = new AbortController();
      await withModel(
        settings(dense, LONG_CONTEXT),
        async (model) => {
          const { running, processId } = await started(model);
          abort.abort(new Error('enough'));
          await expect(running).rejects.toThrow('enough');
          await model.end();
          await gone(processId);
        },
        { signal: abort.signal },
      );
    });

    it('reports a process that was killed from outside as crashed', async () => {
      await withModel(settings(dense, LONG_CONTEXT), async (model) => {
        const { running, processId } = await started(model);
        process.kill(processId, 'SIGKILL');
        expect(await failureOf(running)).toMatchObject({ kind: 'crashed', details: { signal: 'SIGKILL' } });
        await gone(processId);
      });
    });

    it('gives up a process that does not answer, and kills it', async () => {
      await withModel(
        settings(dense, LONG_CONTEXT),
        async (model) => {
          const { running, processId } = await started(model);
          process.kill(processId, 'SIGSTOP');
          expect((await failureOf(running)).kind).toBe(stopped);
          await gone(processId);
        },
        { limits: SHORT },
      );
    });
  });
}

/** Begins a long run; returns when its process is there and at work. */
async function started(model: LoadedModel): Promise<{ running: Promise<unknown>; processId: number }> {
  const running = model.run({ test: LONG, repetitions: 1 });
  // Awaited by the test; until then a rejection is not an unhandled one.
  running.catch(() => undefined);
  await pause(200);
  const { processId } = model;
  if (processId === null) throw new Error('there is no process', { cause: await running });
  return { running, processId };
}

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });

/** Waits until a process is gone, for the kernel takes a moment. */
async function gone(processId: number): Promise<void> {
  for (let attempt = 0; attempt < 40 && existsSync(`/proc/${processId}`); attempt += 1) await pause(50);
  expect(existsSync(`/proc/${processId}`)).toBe(false);
}
