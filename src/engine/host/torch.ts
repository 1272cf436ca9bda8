import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { nanoseconds, type Nanoseconds } from '../../units/index.ts';
import { EngineFailure } from '../failure.ts';
import type { MultiplyRequest } from '../probe.ts';
import { LogTail } from './log-tail.ts';
import { TORCH_SCRIPT } from './torch-script.ts';
import { WatchedChild, type ChildEnd } from './watched-child.ts';

const PYTHON = 'python3';
/** Importing PyTorch from a slow disk, and a driver's first look at its devices. */
const START_MILLISECONDS = 120_000;
/** What a product may take beyond its time: making the matrices, loading kernels. */
const GRACE_MILLISECONDS = 60_000;

const greetingSchema = z.object({
  version: z.string(),
  device: z.enum(['cuda', 'mps', 'cpu']),
  name: z.string(),
  /** ROCm's version; null where PyTorch was built for something else. */
  hip: z.string().nullable(),
});
const answerSchema = z.union([
  z.object({ samplesNanoseconds: z.array(z.number().positive().transform(nanoseconds)) }),
  z.object({ refusal: z.string() }),
]);

/** PyTorch's data types of the ones that ggml has under another name. */
export const TORCH_TYPES = { F16: 'float16', BF16: 'bfloat16' } as const;

/** PyTorch in a Python of the user's, in a process of its own. */
export interface Torch {
  readonly version: string;
  readonly device: 'cuda' | 'mps' | 'cpu';
  readonly deviceName: string;
  /** Built for ROCm: the choice of its BLAS library can be compared. */
  readonly isRocm: boolean;
  readonly processId: number | null;
  /** @throws EngineFailure */
  multiply(request: Omit<MultiplyRequest, 'device'>): Promise<readonly Nanoseconds[]>;
  end(): Promise<void>;
}

/**
 * Starts `python3` with PyTorch.
 * @param environment - variables for this process only.
 * @throws EngineFailure `unsupported` when there is no python3 or no torch, with what to do.
 */
export async function openTorch(
  environment: Readonly<Record<string, string>> = {},
  signal?: AbortSignal,
): Promise<Torch> {
  const child = spawn(PYTHON, ['-c', TORCH_SCRIPT], { env: { ...process.env, ...environment } });
  const log = new LogTail();
  child.stderr.on('data', (text: Buffer) => log.append(text));
  const lines = new LineReader(child, log, signal);
  try {
    const greeting = greetingSchema.parse(await lines.next(START_MILLISECONDS, 'starting'));
    return {
      version: greeting.version,
      device: greeting.device,
      deviceName: greeting.name,
      isRocm: greeting.hip !== null,
      get processId() {
        return lines.child.processId;
      },
      async multiply({ type, rows, batch, columns, threads, milliseconds }) {
        const request = { type, rows, batch, columns, threads, milliseconds };
        child.stdin.write(`${JSON.stringify(request)}\n`);
        const activity = `multiplying ${type} ${rows}x${batch}x${columns}`;
        const answer = answerSchema.parse(await lines.next(milliseconds + GRACE_MILLISECONDS, activity));
        if ('samplesNanoseconds' in answer) return answer.samplesNanoseconds;
        throw new EngineFailure('unsupported', `PyTorch refused ${activity}: ${answer.refusal}.`, {
          engineWords: answer.refusal,
        });
      },
      end: () => lines.child.close(),
    };
  } catch (error) {
    await lines.child.close();
    throw error;
  }
}

/** One line of JSON at a time, or the end of the process as a failure. */
class LineReader {
  readonly child: WatchedChild;
  readonly #log: LogTail;
  readonly #signal: AbortSignal | undefined;
  readonly #received: string[] = [];
  #wake: () => void = () => undefined;

  constructor(child: ChildProcessWithoutNullStreams, log: LogTail, signal: AbortSignal | undefined) {
    this.#log = log;
    this.#signal = signal;
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.#received.push(line);
      this.#wake();
    });
    const wake = (): void => this.#wake();
    this.child = new WatchedChild(child, { ended: wake, aborted: wake }, signal);
  }

  async next(limitMilliseconds: number, activity: string): Promise<unknown> {
    const limit = this.child.limit(limitMilliseconds);
    try {
      for (;;) {
        this.#signal?.throwIfAborted();
        const line = this.#received.shift();
        if (line !== undefined) return JSON.parse(line) as unknown;
        const { end } = this.child;
        if (end !== null) throw this.#failure(end, activity, limit.isOver);
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      limit.stop();
    }
  }

  #failure({ exitCode, signal, error }: ChildEnd, activity: string, timedOut: boolean): EngineFailure {
    const words = this.#log.text();
    const options = { engineWords: words };
    if (words.includes("No module named 'torch'")) {
      const remedy =
        'install PyTorch for it (pip install torch), or put a python3 that has it first on the PATH';
      return new EngineFailure('unsupported', `The python3 on the PATH has no torch: ${remedy}.`, options);
    }
    if (error !== null && 'code' in error && error.code === 'ENOENT') {
      return new EngineFailure(
        'unsupported',
        'There is no python3 on the PATH: install Python and PyTorch.',
        options,
      );
    }
    const reason = error?.message ?? `it ended with ${signal ?? exitCode ?? 'no code'}`;
    return timedOut
      ? new EngineFailure('timed-out', `PyTorch was still ${activity} when its time was over.`, options)
      : new EngineFailure('crashed', `PyTorch died while ${activity}: ${reason}.`, options);
  }
}
