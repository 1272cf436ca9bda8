import type { ChildProcess } from 'node:child_process';

/** How a child process ended; `error` where it could not be started at all. */
export interface ChildEnd {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly error: Error | null;
}

/** What is told of a child. */
export interface ChildEvents {
  /** Once, whatever ended it. */
  readonly ended: (end: ChildEnd) => void;
  /** The user stopped the whole; the child has been killed. */
  readonly aborted: () => void;
}

/** A child process that is killed when its time, or the user's patience, is over. */
export class WatchedChild {
  readonly #child: ChildProcess;
  readonly #signal: AbortSignal | undefined;
  readonly #closed: Promise<void>;
  readonly #abort: () => void;
  #end: ChildEnd | null = null;

  constructor(child: ChildProcess, { ended, aborted }: ChildEvents, signal: AbortSignal | undefined) {
    this.#child = child;
    this.#signal = signal;
    // A child that dies while it is being written to is seen by its end, not by the broken pipe.
    child.stdin?.on('error', () => undefined);
    this.#closed = new Promise((resolve) => {
      const finish = (end: ChildEnd): void => {
        if (this.#end === null) {
          this.#end = end;
          ended(end);
        }
        resolve();
      };
      child.on('error', (error) => finish({ exitCode: null, signal: null, error }));
      child.on('close', (exitCode, name) => finish({ exitCode, signal: name, error: null }));
    });
    this.#abort = () => {
      child.kill('SIGKILL');
      aborted();
    };
    signal?.addEventListener('abort', this.#abort, { once: true });
  }

  /** null: it is not running any more. */
  get processId(): number | null {
    return this.#end === null ? (this.#child.pid ?? null) : null;
  }

  /** null: it runs. */
  get end(): ChildEnd | null {
    return this.#end;
  }

  /** Kills the child when the time is over, unless `stop` is called before. */
  limit(milliseconds: number): { readonly isOver: boolean; readonly stop: () => void } {
    let isOver = false;
    const timer = setTimeout(() => {
      isOver = true;
      this.#child.kill('SIGKILL');
    }, milliseconds);
    return {
      get isOver() {
        return isOver;
      },
      stop: () => clearTimeout(timer),
    };
  }

  /** Kills the child where it still runs, and waits until it has gone. */
  async close(): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#abort);
    if (this.#end === null) this.#child.kill('SIGKILL');
    await this.#closed;
  }
}
