import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { z } from 'zod';
import { EngineFailure, classifyEnd } from '../failure.ts';
import { answerSchemas, replySchema, type WorkerAnswer } from '../protocol.ts';
import { LogTail } from './log-tail.ts';

type Method = keyof typeof answerSchemas;

interface Pending {
  readonly id: number;
  readonly activity: string;
  settle(outcome: { readonly answer: unknown } | { readonly error: unknown }): void;
}

/** A worker and the one question that it is working on. */
export class WorkerProcess {
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
