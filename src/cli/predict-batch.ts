import { createReadStream, createWriteStream, existsSync, realpathSync, statSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import type { BatchAnswer, BatchError, Predictor } from '../predict/index.ts';
import { formatSeconds, seconds } from '../units/index.ts';
import type { CliContext } from './context.ts';
import { CommandFailure, UsageError, type ExitCode } from './exit.ts';
import { openPredictor } from './prediction-target.ts';

/** A line longer than this is no query. */
const MAX_LINE_LENGTH = 100_000;

/** Answers a file of queries, one JSON object a line. */
export async function answerBatch(from: string, to: string, context: CliContext): Promise<ExitCode> {
  const predictor = openPredictor(context);
  if (existsSync(from) && statSync(from).isDirectory()) {
    throw new CommandFailure(`The queries cannot be read from ${from}: it is a folder.`);
  }
  if (existsSync(from) && existsSync(to) && realpathSync(from) === realpathSync(to)) {
    throw new UsageError(`The answers would replace the queries in ${from}; name another file with -o.`);
  }
  const input = createReadStream(from, 'utf8');
  await once(input, 'open').catch((error: unknown) => {
    throw new CommandFailure(
      `The queries cannot be read from ${from} (${reasonOf(error)}); check its path and its permissions.`,
      { cause: error },
    );
  });
  // The answers appear whole; only what is no plain file, such as a pipe, is written as it comes.
  const inPlace = existsSync(to) && !statSync(to).isFile();
  const draft = inPlace ? to : `${to}.${process.pid}.part`;
  const output = createWriteStream(draft, { flush: !inPlace });
  await once(output, 'open').catch((error: unknown) => {
    throw unwritable(to, error);
  });
  let answered = 0;
  let refused = 0;
  const start = process.hrtime.bigint();
  async function* answers(): AsyncGenerator<string> {
    let number = 0;
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      number += 1;
      if (line.trim() === '') continue;
      const answer = answerLine(line, number, predictor);
      if ('error' in answer) refused += 1;
      else answered += 1;
      yield `${JSON.stringify(answer)}\n`;
    }
  }
  try {
    await pipeline(answers(), output, { signal: context.signal });
    if (!inPlace) await rename(draft, to);
  } catch (error) {
    if (!inPlace) await rm(draft, { force: true });
    context.signal.throwIfAborted();
    // A reader at the other end of a pipe that has read enough, such as `head`, is no error.
    if (inPlace && reasonOf(error) === 'EPIPE') return 0;
    const ofFile = error instanceof Error && 'syscall' in error && error.syscall !== 'read';
    throw ofFile ? unwritable(to, error) : error;
  }
  const took = seconds(Number(process.hrtime.bigint() - start) / 1e9);
  context.stderr(
    `${answered} ${answered === 1 ? 'query' : 'queries'} answered, ${refused} refused with their reason, in ${formatSeconds(took)}`,
  );
  return answered === 0 && refused > 0 ? 1 : 0;
}

/** The answer to one line; where that has no id, the error says which line it is. */
export function answerLine(
  line: string,
  number: number,
  predictor: Pick<Predictor, 'answer'>,
): BatchAnswer | BatchError {
  const query = line.length > MAX_LINE_LENGTH ? null : parsed(line);
  if (query === null) {
    const message = `Line ${number} is not a JSON object of at most ${MAX_LINE_LENGTH} characters.`;
    return { id: null, error: { code: 'invalid-query', message } };
  }
  const answer = predictor.answer(query);
  if (!('error' in answer) || answer.id !== null) return answer;
  const { code, message } = answer.error;
  return { id: null, error: { code, message: `Line ${number}: ${message}` } };
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

const unwritable = (file: string, cause: unknown): CommandFailure =>
  new CommandFailure(
    `The answers cannot be written to ${file} (${reasonOf(cause)}); give the path of a file in a folder that exists, on a disk with room.`,
    { cause },
  );

const reasonOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error);
