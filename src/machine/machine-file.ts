import { z } from 'zod';
import { captureSchema } from './capture.ts';
import { machineFactsSchema, type MachineFacts } from './facts.ts';
import { identify } from './identify.ts';

/** Largest saved machine that is read; a capture of a 384-core server has about 1 MB. */
const MAX_FILE_CHARACTERS = 20_000_000;

/** What reading a saved machine gave: its facts, or one sentence that says why not. */
export type ParsedMachine =
  | { readonly ok: true; readonly facts: MachineFacts }
  | { readonly ok: false; readonly error: string };

const headSchema = z.object({ kind: z.string(), schemaVersion: z.number() });

/**
 * Reads a saved machine: either facts, or a capture, which is then judged by this version. The file may come from
 * anybody; whatever does not fit the schema is refused with the place where it does not.
 */
export function parseMachineFile(text: string): ParsedMachine {
  if (text.length > MAX_FILE_CHARACTERS) {
    return refuse(`it is larger than ${MAX_FILE_CHARACTERS / 1e6} MB`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return refuse('it is not JSON');
  }
  const head = headSchema.safeParse(json);
  if (!head.success) return refuse('it has no kind and schemaVersion');
  if (head.data.schemaVersion !== 1) {
    return refuse(`its schemaVersion is ${head.data.schemaVersion}, and this version reads 1`);
  }
  if (head.data.kind === 'ridgepoint-capture') {
    const capture = captureSchema.safeParse(json);
    return capture.success ? { ok: true, facts: identify(capture.data) } : refuse(whereOf(capture.error));
  }
  const facts = machineFactsSchema.safeParse(json);
  return facts.success ? { ok: true, facts: facts.data } : refuse(whereOf(facts.error));
}

function whereOf(error: z.ZodError): string {
  const issue = error.issues[0];
  const path = issue?.path.map(String).join('.');
  return `${path === undefined || path === '' ? 'the document' : path} does not fit: ${issue?.message ?? 'unknown issue'}`;
}

function refuse(why: string): ParsedMachine {
  return {
    ok: false,
    error: `The file holds no machine: ${why}. Write one with "ridgepoint machine --save FILE".`,
  };
}
