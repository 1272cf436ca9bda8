import { execFile } from 'node:child_process';
import { access, readdir, readFile } from 'node:fs/promises';
import { arch, platform } from 'node:os';
import {
  keyOf,
  MAX_FILES,
  MAX_READING_CHARACTERS,
  type Capture,
  type Entry,
  type Reading,
  type Request,
} from '../capture.ts';
import { relevantEnvironment } from '../environment.ts';
import { anonymous } from '../privacy.ts';
import { requestsFor } from '../sources.ts';

/** Longest time that a command may take: system_profiler and PowerShell need 1 to 4 s on a busy machine. */
const COMMAND_TIMEOUT_MS = 10_000;
/** Files of /proc and /sys answer at once; a driver that hangs must not hang this program. */
const FILE_TIMEOUT_MS = 5000;

/**
 * Reads everything that is known to tell about this machine, in parallel, without a shell, without privileges and
 * without changing anything. It never fails: what could not be read is in the capture with the reason.
 */
export async function gatherMachine(): Promise<Capture> {
  const entries = await Promise.all(
    requestsFor(platform()).map(async (request) => [keyOf(request), await gather(request)] as const),
  );
  return {
    schemaVersion: 1,
    kind: 'ridgepoint-capture',
    platform: platform(),
    architecture: arch(),
    entries: Object.fromEntries(entries),
    environment: relevantEnvironment(process.env, anonymous),
  };
}

async function gather(request: Request): Promise<Entry> {
  const filter = (reading: Reading): Reading => {
    if ('error' in reading) return { error: anonymous(reading.error) };
    return { text: anonymous(request.filter?.(reading.text) ?? reading.text) };
  };
  switch (request.kind) {
    case 'file':
      return filter(await readText(request.path));
    case 'files':
      return gatherFiles(request.pattern, request.binary === true, filter);
    case 'control-group':
      return gatherControlGroup(request.controller, request.file);
    case 'command':
    default:
      return filter(await runCommand(request.file, request.args));
  }
}

async function gatherFiles(
  pattern: string,
  binary: boolean,
  filter: (reading: Reading) => Reading,
): Promise<Entry> {
  const paths = await matching(pattern);
  if (paths.length === 0) return { error: 'no file of this name exists' };
  if (paths.length > MAX_FILES) return { error: `more than ${MAX_FILES} files` };
  const files = await Promise.all(
    paths.map(async (path) => [path, filter(await readText(path, binary ? 'hex' : 'utf8'))] as const),
  );
  return { files: Object.fromEntries(files) };
}

/** The paths that a pattern matches, one folder after the other; unreadable folders match nothing. */
async function matching(pattern: string): Promise<string[]> {
  let found = [''];
  for (const segment of pattern.split('/').slice(1)) {
    if (!/\*|<n>/.test(segment)) {
      found = found.map((folder) => `${folder}/${segment}`);
      continue;
    }
    // The segments of the plan hold no other character that means something in a regular expression.
    const expression = new RegExp(`^${segment.replaceAll('*', '.*').replaceAll('<n>', '\\d+')}$`);
    const next: string[] = [];
    for (const folder of found) {
      for (const name of await namesIn(folder)) if (expression.test(name)) next.push(`${folder}/${name}`);
    }
    found = next.slice(0, MAX_FILES + 1);
  }
  const present = await Promise.all(
    found.map(async (path) =>
      access(path).then(
        () => true,
        (error: unknown) => codeOf(error) !== 'ENOENT' && codeOf(error) !== 'ENOTDIR',
      ),
    ),
  );
  return found
    .filter((_, index) => present[index])
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch {
    return [];
  }
}

async function readText(path: string, encoding: 'utf8' | 'hex' = 'utf8'): Promise<Reading> {
  try {
    const text = await readFile(path, { encoding, signal: AbortSignal.timeout(FILE_TIMEOUT_MS) });
    return text.length > MAX_READING_CHARACTERS ? { error: 'is larger than expected' } : { text };
  } catch (error) {
    return { error: sentenceOf(error) };
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

const SENTENCES: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'is a folder',
  ABORT_ERR: 'did not answer in time',
};

function sentenceOf(error: unknown): string {
  const code = codeOf(error) ?? 'unknown error';
  // ENODEV, EINVAL, EOPNOTSUPP and EIO come from drivers that show a file for what the device does not have.
  return SENTENCES[code] ?? `could not be read (${code})`;
}

/**
 * One file of this process's control group and of each above it. Their paths name users, sessions and containers and
 * are not kept: the key is the depth.
 */
async function gatherControlGroup(controller: string, file: string): Promise<Entry> {
  const membership = await readText('/proc/self/cgroup');
  if ('error' in membership) return { error: `/proc/self/cgroup ${membership.error}` };
  const own = membership.text
    .split('\n')
    .map((line) => /^\d+:([^:]*):(\/.*)$/.exec(line))
    .find((match) => match?.[1]?.split(',').includes(controller));
  const root = controller === '' ? '/sys/fs/cgroup' : `/sys/fs/cgroup/${controller}`;
  const groups = (own?.[2] ?? '/').split('/').filter((part) => part !== '' && part !== '..');
  const files: Record<string, Reading> = {};
  for (let depth = 0; depth <= groups.length; depth += 1) {
    const reading = await readText([root, ...groups.slice(0, depth), file].join('/'));
    if ('text' in reading) files[`level ${depth}`] = reading;
  }
  return Object.keys(files).length === 0
    ? { error: `no ${file} on the way to the control group` }
    : { files };
}

/** Runs a command without a shell and in the C locale. A command that fails but prints keeps what it printed. */
async function runCommand(file: string, args: readonly string[]): Promise<Reading> {
  return new Promise((resolve) => {
    execFile(
      file,
      [...args],
      {
        timeout: COMMAND_TIMEOUT_MS,
        killSignal: 'SIGKILL',
        maxBuffer: MAX_READING_CHARACTERS,
        encoding: 'utf8',
        windowsHide: true,
        env: { ...process.env, LC_ALL: 'C', LANG: 'C' },
      },
      (error, stdout, stderr) => {
        if (error === null || (error.killed !== true && stdout.trim() !== '')) resolve({ text: stdout });
        else if (codeOf(error) === 'ENOENT') resolve({ error: 'is not installed' });
        else if (error.killed === true)
          resolve({ error: `did not answer within ${COMMAND_TIMEOUT_MS / 1000} s` });
        else resolve({ error: failureOf(error.code, stderr) });
      },
    );
  });
}

/** Longest part of an error message that is kept. */
const MAX_MESSAGE_CHARACTERS = 200;

function failureOf(code: string | number | null | undefined, stderr: string): string {
  const message = stderr.trim().split('\n')[0]?.slice(0, MAX_MESSAGE_CHARACTERS) ?? '';
  return `ended with ${code ?? 'a signal'}${message === '' ? '' : `: ${message}`}`;
}
