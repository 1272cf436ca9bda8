import { spawn } from 'node:child_process';
import path from 'node:path';
import type { Writable } from 'node:stream';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { z } from 'zod';
import { EngineFailure, classifyEnd } from '../failure.ts';
import { answerSchemas, replySchema, type WorkerAnswer } from '../protocol.ts';
import { LogTail } from './log-tail.ts';
import { WatchedChild } from './watched-child.ts';

type Method = keyof typeof answerSchemas;

interface Pending {
  readonly id: number;
  readonly activity: string;
  settle(outcome: { readonly answer: unknown } | { readonly error: unknown }): void;
}

/** A worker and the one question that it is working on. */
export class WorkerProcess {
  readonly #child: WatchedChild;
  readonly #input: Writable | null;
  readonly #log = new LogTail();
  readonly #onGpu: boolean;
  readonly #modelPath: string;
  readonly #signal: AbortSignal | undefined;
  #pending: Pending | null = null;
  #nextId = 1;
  /** Of the question that was asked last. */
  #limit: { readonly isOver: boolean } | null = null;

  constructor(directory: string, onGpu: boolean, modelPath: string, signal?: AbortSignal) {
    this.#onGpu = onGpu;
    this.#modelPath = modelPath;
    this.#signal = signal;
    // Beside this file and in the same language: TypeScript in the tests, JavaScript in the package.
    const self = fileURLToPath(import.meta.url);
    const entry = path.join(path.dirname(self), `worker${path.extname(self)}`);
    const child = spawn(process.execPath, [entry, directory], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
    this.#input = child.stdin;
    child.stdout?.on('data', (text: Buffer) => this.#log.append(text));
    child.stderr?.on('data', (text: Buffer) => this.#log.append(text));
    const replies = child.stdio[3];
    if (replies === null || replies === undefined || !('read' in replies)) throw new Error('no reply pipe');
    createInterface({ input: replies }).on('line', (line) => this.#receive(line));
    this.#child = new WatchedChild(
      child,
      {
        ended: ({ error }) => {
          if (error !== null) this.#log.append(Buffer.from(String(error)));
          if (this.#pending !== null) this.#pending.settle({ error: this.#failure(this.#pending.activity) });
        },
        aborted: () => this.#pending?.settle({ error: signal?.reason }),
      },
      signal,
    );
  }

  get processId(): number | null {
    return this.#child.processId;
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
    if (this.#child.end !== null) throw this.#failure(activity);
    const id = this.#nextId;
    this.#nextId += 1;
    const limit = this.#child.limit(limitMilliseconds);
    this.#limit = limit;
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
        this.#input?.write(`${JSON.stringify({ ...parameters, method, id })}\n`);
      });
      const schema: z.ZodType = answerSchemas[method];
      return schema.parse(answer) as WorkerAnswer<M>;
    } finally {
      limit.stop();
    }
  }

  async end(): Promise<void> {
    await this.#child.close();
  }

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

  #failure(activity: string): EngineFailure {
    return classifyEnd({
      exitCode: this.#child.end?.exitCode ?? null,
      signal: this.#child.end?.signal ?? null,
      log: this.log(),
      onGpu: this.#onGpu,
      timedOut: this.#limit?.isOver === true,
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
