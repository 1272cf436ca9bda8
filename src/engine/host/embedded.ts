import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { z } from 'zod';
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
import { EngineFailure, classifyEnd } from '../failure.ts';
import type { ContextOutcome, MemoryRequest } from '../memory-request.ts';
import { answerSchemas, replySchema, type WorkerAnswer } from '../protocol.ts';
import type { Nanoseconds } from '../../units/index.ts';
import { LogTail } from './log-tail.ts';
import { embeddedVariants, type EmbeddedVariant } from './embedded-packages.ts';
import type { MultiplyRequest } from './multiply.ts';

type Method = keyof typeof answerSchemas;

/** Starting Node, loading the libraries, and a driver's first look at its devices. */
const DESCRIBE_MILLISECONDS = 60_000;
/** What a matmul may take beyond the time that it was given: quantising, uploading, compiling shaders. */
const MULTIPLY_GRACE_MILLISECONDS = 60_000;

/** Starting, and reading the header of a model with a vocabulary of some 100,000 words, on a busy machine. */
const PLAN_MODEL_MILLISECONDS = 60_000;
/** Building the graph of a model of a hundred layers a few times over: tens of milliseconds on a free machine. */
const PLAN_CONTEXT_MILLISECONDS = 10_000;

/** llama.cpp in a child process, through its C API; it can also time single products, for the ceilings. */
export interface EmbeddedEngine extends Engine {
  load(settings: ModelSettings, limits: EngineLimits, signal?: AbortSignal): Promise<EmbeddedModel>;
  /** Times matrix products on the engine's first device. @throws EngineFailure */
  multiply(requests: readonly MultiplyRequest[], signal?: AbortSignal): Promise<(readonly Nanoseconds[])[]>;
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
    async multiply(requests, signal) {
      const child = new WorkerProcess(directory, onGpu, 'a matmul', signal);
      try {
        const results: (readonly Nanoseconds[])[] = [];
        for (const request of requests) {
          const limit = request.milliseconds + MULTIPLY_GRACE_MILLISECONDS;
          const answer = await child.ask('multiply', request, limit, `multiplying ${request.type}`);
          results.push(answer.samplesNanoseconds);
        }
        return results;
      } finally {
        await child.end();
      }
    },
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

interface Pending {
  readonly id: number;
  readonly activity: string;
  settle(outcome: { readonly answer: unknown } | { readonly error: unknown }): void;
}

/** A worker and the one question that it is working on. */
class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #log = new LogTail();
  readonly #onGpu: boolean;
  readonly #modelPath: string;
  readonly #closed: Promise<void>;
  readonly #signal: AbortSignal | undefined;
  #pending: Pending | null = null;
  #nextId = 1;
  #timedOut = false;
  #ended: { readonly exitCode: number | null; readonly signal: string | null } | null = null;

  constructor(directory: string, onGpu: boolean, modelPath: string, signal?: AbortSignal) {
    this.#onGpu = onGpu;
    this.#modelPath = modelPath;
    this.#signal = signal;
    // Beside this file and in the same language: TypeScript in the tests, JavaScript in the package.
    const self = fileURLToPath(import.meta.url);
    const entry = path.join(path.dirname(self), `worker${path.extname(self)}`);
    this.#child = spawn(process.execPath, [entry, directory], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
    this.#child.stdout?.on('data', (text: Buffer) => this.#log.append(text));
    this.#child.stderr?.on('data', (text: Buffer) => this.#log.append(text));
    // A worker that dies while it is being written to is seen by its end, not by the broken pipe.
    this.#child.stdin?.on('error', () => undefined);
    const replies = this.#child.stdio[3];
    if (replies === null || replies === undefined || !('read' in replies)) throw new Error('no reply pipe');
    createInterface({ input: replies }).on('line', (line) => this.#receive(line));
    this.#closed = new Promise((resolve) => {
      this.#child.on('error', (error) => {
        this.#log.append(Buffer.from(String(error)));
        this.#finish(null, null);
        resolve();
      });
      this.#child.on('close', (exitCode, signalName) => {
        this.#finish(exitCode, signalName);
        resolve();
      });
    });
    signal?.addEventListener('abort', this.#abort, { once: true });
  }

  get processId(): number | null {
    return this.#ended === null ? (this.#child.pid ?? null) : null;
  }

  log(): string {
    return this.#log.text();
  }

  /** Asks and waits. A worker that does not answer in time is killed. @throws EngineFailure */
  async ask<M extends Method>(
    method: M,
    parameters: object,
    limitMilliseconds: number,
    activity: string,
  ): Promise<WorkerAnswer<M>> {
    this.#signal?.throwIfAborted();
    if (this.#ended !== null) throw this.#failure(activity);
    const id = this.#nextId;
    this.#nextId += 1;
    const timer = setTimeout(() => {
      this.#timedOut = true;
      this.#child.kill('SIGKILL');
    }, limitMilliseconds);
    try {
      const answer = await new Promise<unknown>((resolve, reject) => {
        this.#pending = {
          id,
          activity,
          settle: (outcome) => {
            this.#pending = null;
            if ('answer' in outcome) resolve(outcome.answer);
            else reject(outcome.error);
          },
        };
        this.#child.stdin?.write(`${JSON.stringify({ ...parameters, method, id })}\n`);
      });
      const schema: z.ZodType = answerSchemas[method];
      return schema.parse(answer) as WorkerAnswer<M>;
    } finally {
      clearTimeout(timer);
    }
  }

  async end(): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#abort);
    if (this.#ended === null) this.#child.kill('SIGKILL');
    await this.#closed;
  }

  readonly #abort = (): void => {
    this.#child.kill('SIGKILL');
    this.#pending?.settle({ error: this.#signal?.reason });
  };

  #receive(line: string): void {
    const message = replySchema.parse(JSON.parse(line));
    if (this.#pending?.id !== message.id) return;
    if ('answer' in message) {
      this.#pending.settle({ answer: message.answer });
      return;
    }
    // The log comes through another pipe and may still be on its way; what it says decides the kind of the failure.
    const { activity } = this.#pending;
    setTimeout(() => {
      const log = `${this.log()}\n${message.refusal.message}`;
      this.#pending?.settle({
        error: refusal(log, message.refusal.message, activity, this.#modelPath, this.#onGpu),
      });
    }, LOG_GRACE_MILLISECONDS);
  }

  #finish(exitCode: number | null, signal: string | null): void {
    this.#ended = { exitCode, signal };
    if (this.#pending !== null) this.#pending.settle({ error: this.#failure(this.#pending.activity) });
  }

  #failure(activity: string): EngineFailure {
    return classifyEnd({
      exitCode: this.#ended?.exitCode ?? null,
      signal: this.#ended?.signal ?? null,
      log: this.log(),
      onGpu: this.#onGpu,
      timedOut: this.#timedOut,
      modelPath: this.#modelPath,
      activity,
    });
  }
}

const LOG_GRACE_MILLISECONDS = 50;

/** The worker lives and said no: its log decides the kind; where that tells nothing, loading failed. */
function refusal(
  log: string,
  message: string,
  activity: string,
  modelPath: string,
  onGpu: boolean,
): EngineFailure {
  const end = { exitCode: null, signal: null, log, onGpu, timedOut: false, modelPath, activity };
  const classified = classifyEnd(end);
  if (classified.kind !== 'crashed') return classified;
  const sentence = `The engine refused ${modelPath} while ${activity}: ${message}. Check the file and the settings.`;
  return new EngineFailure('load-failed', sentence, { engineWords: message });
}
