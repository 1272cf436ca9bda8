/** What the process ends with: done, failed, wrong usage, or the signal that stopped it (128 + its number). */
export type ExitCode = 0 | 1 | 2 | 130 | 143;

/** The command cannot do what was asked; the message is one sentence: what happened, to what, and what to do. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
}

/** The command was written wrongly; ends with exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The user asked to stop; the reason of `CliContext.signal`. */
export class Interruption extends Error {
  override readonly name = 'Interruption';
  readonly exitCode: ExitCode;

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(`stopped by ${signal}`);
    // POSIX shells report a process that a signal ended as 128 + the number of the signal: 2 and 15.
    this.exitCode = signal === 'SIGINT' ? 130 : 143;
  }
}

/** The sentence for the user, without a stack; `debug` gives the stack as well. */
export function explain(error: unknown, debug: boolean): string {
  if (!(error instanceof Error)) return `error: ${String(error)}`;
  if (debug) return `error: ${error.stack ?? error.message}`;
  // Nobody wrote a sentence for the errors of the language itself: they are mistakes of this program.
  const unexpected = [TypeError, RangeError, ReferenceError, SyntaxError].some(
    (kind) => error instanceof kind,
  );
  const message = error.message.split('\n', 1)[0] ?? '';
  return unexpected
    ? `error: ${message} (a mistake of ridgepoint; RIDGEPOINT_DEBUG=1 shows where, please report it)`
    : `error: ${message}`;
}
