import { parseBufferLines, readContextOutcome } from '../engine-log.ts';
import type {
  Engine,
  EngineBuffer,
  EngineDescription,
  EngineLimits,
  LoadedModel,
  LoadedModelInfo,
  ModelSettings,
  RunRequest,
} from '../engine.ts';
import { EngineFailure } from '../failure.ts';
import type { ContextOutcome, MemoryRequest } from '../memory-request.ts';
import type { EngineProbe } from '../probe.ts';
import type { WorkerAnswer } from '../protocol.ts';
import type { Nanoseconds } from '../../units/index.ts';
import { embeddedVariants, type EmbeddedVariant } from './embedded-packages.ts';
import { openProbe } from './engine-probe.ts';
import { WorkerProcess } from './worker-process.ts';

/** Starting Node, loading the libraries, and a driver's first look at its devices. */
const DESCRIBE_MILLISECONDS = 60_000;

/** Starting, and reading the header of a model with a vocabulary of some 100,000 words, on a busy machine. */
const PLAN_MODEL_MILLISECONDS = 60_000;
/** Building the graph of a model of a hundred layers a few times over: tens of milliseconds on a free machine. */
const PLAN_CONTEXT_MILLISECONDS = 10_000;

/** llama.cpp in a child process, through its C API; it can also time single operations, for the ceilings. */
export interface EmbeddedEngine extends Engine {
  load(settings: ModelSettings, limits: EngineLimits, signal?: AbortSignal): Promise<EmbeddedModel>;
  /** Starts nothing yet: the first call of the probe does. */
  probe(signal?: AbortSignal): EngineProbe;
  /**
   * The engine's own account of what contexts of a model would take, without reading or allocating its weights. The
   * outcomes are in the order of the contexts.
   * @throws EngineFailure when the engine refuses the model, dies, or hangs.
   */
  planMemory(request: MemoryRequest, signal?: AbortSignal): Promise<ContextOutcome[]>;
}

export interface EmbeddedModel extends LoadedModel {
  /** Routes random tokens and counts the distinct experts of each layer; ends the usefulness of the model for timing. */
  countExperts(tokens: number, singly: boolean): Promise<WorkerAnswer<'countExperts'>>;
}

export interface EmbeddedOptions {
  readonly variant: EmbeddedVariant;
  /** Where `ridgepoint engines add` installs; see {@link embeddedVariants}. */
  readonly addedFolder?: string;
}

/** @throws EngineFailure `load-failed` when that variant is not installed or does not exist for this platform. */
export function openEmbeddedEngine({ variant, addedFolder }: EmbeddedOptions): EmbeddedEngine {
  const build = embeddedVariants(addedFolder).find((candidate) => candidate.variant === variant);
  const directory = build?.directory ?? null;
  if (directory === null) {
    const reason = build?.reason ?? `not made for ${process.platform}-${process.arch}`;
    throw new EngineFailure('load-failed', `The embedded ${variant} engine is ${reason}.`);
  }
  const id = `embedded:${variant}`;
  const onGpu = variant !== 'cpu';
  return {
    id,
    async describe(): Promise<EngineDescription> {
      const child = new WorkerProcess(directory, onGpu, 'the engine');
      try {
        return { id, ...(await child.ask('describe', {}, DESCRIBE_MILLISECONDS, 'starting')) };
      } finally {
        await child.end();
      }
    },
    load: (settings, limits, signal) =>
      EmbeddedSession.load(new WorkerProcess(directory, onGpu, settings.modelPath, signal), settings, limits),
    async planMemory(request, signal) {
      const child = new WorkerProcess(directory, onGpu, request.modelPath, signal);
      const limit = PLAN_MODEL_MILLISECONDS + request.contexts.length * PLAN_CONTEXT_MILLISECONDS;
      try {
        const { contexts } = await child.ask('planMemory', { request }, limit, 'laying out its memory');
        return contexts.map(readContextOutcome);
      } finally {
        await child.end();
      }
    },
    probe: (signal) => openProbe(() => new WorkerProcess(directory, onGpu, 'a probe', signal)),
  };
}

class EmbeddedSession implements EmbeddedModel {
  readonly info: LoadedModelInfo;
  readonly build = null;
  readonly repetitionsPerCall = 1;
  readonly warmsUpItself = false;
  readonly #child: WorkerProcess;
  readonly #limits: EngineLimits;

  private constructor(child: WorkerProcess, limits: EngineLimits, info: LoadedModelInfo) {
    this.#child = child;
    this.#limits = limits;
    this.info = info;
  }

  static async load(
    child: WorkerProcess,
    settings: ModelSettings,
    limits: EngineLimits,
  ): Promise<EmbeddedSession> {
    try {
      const info = await child.ask('load', { settings }, limits.loadMilliseconds, 'loading');
      return new EmbeddedSession(child, limits, info);
    } catch (error) {
      await child.end();
      throw error;
    }
  }

  get processId(): number | null {
    return this.#child.processId;
  }

  async run({ test, repetitions }: RunRequest): Promise<readonly Nanoseconds[]> {
    const samples: Nanoseconds[] = [];
    for (let repetition = 0; repetition < repetitions; repetition += 1) {
      const activity = `running pp${test.promptTokens} tg${test.generatedTokens} @ d${test.depthTokens}`;
      const limit = this.#limits.repetitionMilliseconds;
      samples.push((await this.#child.ask('run', { test }, limit, activity)).nanoseconds);
    }
    return samples;
  }

  async countExperts(tokens: number, singly: boolean): Promise<WorkerAnswer<'countExperts'>> {
    const limit = this.#limits.repetitionMilliseconds;
    return this.#child.ask('countExperts', { tokens, singly }, limit, 'counting experts');
  }

  buffers(): readonly EngineBuffer[] {
    return parseBufferLines(this.log());
  }

  log(): string {
    return this.#child.log();
  }

  async end(): Promise<void> {
    await this.#child.end();
  }
}
