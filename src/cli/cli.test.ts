import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const MAIN = path.resolve(import.meta.dirname, 'main.ts');
/** The smallest model of the catalogue, one layer of it: 180 MB. */
const SMALL = ['tinyllama-1.1b:Q4_0', '--layers', '1'];

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ridgepoint-cli-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function environment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { ...process.env, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder, XDG_CACHE_HOME: folder, ...extra };
}

interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function ridgepoint(argv: readonly string[], extra: Readonly<Record<string, string>> = {}): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...argv], {
    encoding: 'utf8',
    env: environment(extra),
  });
  return { exitCode: status, stdout, stderr };
}

describe('the command line', () => {
  it('shows its commands and its version', () => {
    const { exitCode, stdout, stderr } = ridgepoint(['--help']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    for (const name of [
      'check',
      'bench',
      'synth',
      'machine',
      'results',
      'models',
      'devices',
      'engines',
      'cache',
    ]) {
      expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
    }
    expect(ridgepoint(['--version']).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each([
    'check',
    'bench',
    'synth',
    'machine',
    'results',
    'models',
    'devices',
    'engines',
    'cache',
    'completion',
  ])('shows an example with %s --help', (name) => {
    const { exitCode, stdout } = ridgepoint([name, '--help']);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(new RegExp(`Example:\n  ridgepoint ${name}`));
  });

  it.each([
    { argv: ['bnech'], reason: 'Did you mean bench?' },
    { argv: ['--quik'], reason: 'Did you mean --quick?' },
    { argv: ['machine', 'surplus'], reason: 'too many arguments' },
    { argv: ['machine', '--remember'], reason: '--remember keeps what --device names' },
    { argv: ['machine', '--color', 'pink'], reason: 'Allowed choices are auto, always, never' },
    { argv: ['bench'], reason: "missing required argument 'model'" },
    { argv: ['bench', 'x', '-p', '1-10*1'], reason: 'does not grow' },
    { argv: ['bench', 'x', '-ub', '0'], reason: 'the least is 1' },
    { argv: ['bench', 'x', '-ctk', 'q9'], reason: "'q9' is no type for the KV cache" },
    { argv: ['bench', 'x', '-fa', 'maybe'], reason: 'none of auto, on and off' },
    { argv: ['bench', 'x', '--layers', '8,4'], reason: 'two growing counts' },
    { argv: ['bench', 'x', '--engine', 'ollama'], reason: 'is no engine' },
    { argv: ['bench', 'x', '--resume', '--fresh'], reason: 'cannot be used with' },
    { argv: ['bench', 'x', '-sm', 'row'], reason: '-sm has no counterpart' },
    { argv: ['engines', 'add', 'tpu'], reason: "'tpu' cannot be added" },
    { argv: ['synth', 'tinyllama-1.1b'], reason: "required option '-o, --output <file>'" },
    { argv: ['synth', 'tinyllama-1.1b:Q4_0', '-o', 'x.gguf', '--layers', '99'], reason: 'has 22 layers' },
    { argv: ['compare', 'nvidia-rtx-4090@', '-m', 'llama-3.1-8b'], reason: 'is no machine' },
    {
      argv: ['compare', 'nvidia-rtx-4090', '-m', 'x', '--cached', '1'],
      reason: 'no share from 0 to less than 1',
    },
    { argv: ['results', '--last', '0'], reason: 'is no number of records' },
    { argv: ['fit', 'llama-3.1-8b', '--ctx', '32k'], reason: 'Write 32768.' },
  ])('ends with 2 and says why: $argv', ({ argv, reason }) => {
    const { exitCode, stdout, stderr } = ridgepoint(argv);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(reason);
  });

  it.each([
    { argv: ['models', 'no-such-model'], reason: "No model of the catalogue matches 'no-such-model'" },
    { argv: ['devices', 'show', 'nvidia-rtx-4095'], reason: 'the nearest ids are nvidia-rtx-4090' },
    { argv: ['machine', '--from', 'missing.json'], reason: 'missing.json cannot be read (ENOENT)' },
    { argv: ['machine', '--save', '.'], reason: '. cannot be written (it is a folder)' },
    { argv: ['machine', '--save', 'no/such/file'], reason: 'cannot be written (ENOENT)' },
    { argv: ['predict', 'nope'], reason: "There is no model 'nope'" },
    { argv: ['explain', 'nope'], reason: "There is no model 'nope'" },
    { argv: ['synth', 'nope', '-o', 'x.gguf'], reason: "There is no model 'nope'" },
    {
      argv: ['fit', 'llama-3.1-8b', '--machine', 'nope'],
      reason: 'to list single devices: ridgepoint devices',
    },
    { argv: ['fit', 'llama-3.1-8b', '--machine', 'missing.json'], reason: 'There is no file missing.json' },
    {
      argv: 'fit llama-3.1-8b --machine desktop-rtx-4090 --tensor-split 3,1'.split(' '),
      reason: '--tensor-split has 2 shares, but RTX 4090 desktop has one GPU',
    },
    {
      argv: 'fit llama-3.1-8b --machine raspberry-pi-5-8 --tensor-split 1,2'.split(' '),
      reason: 'divides a model between GPUs, and Raspberry Pi 5 has none',
    },
    {
      argv: 'fit qwen3-8b --machine nvidia-rtx-5090 --mmproj'.split(' '),
      reason: 'Nothing is known of an mmproj of qwen3-8b',
    },
    {
      argv: 'fit qwen3-8b --machine nvidia-rtx-5090 --draft-mtp'.split(' '),
      reason: 'qwen3-8b has no layers that predict further tokens',
    },
    { argv: ['cache', 'remove', 'nope'], reason: 'There is no nope in the cache' },
    {
      argv: ['predict', '--batch', 'no.jsonl', '-o', 'x.jsonl'],
      reason: 'cannot be read from no.jsonl (ENOENT)',
    },
    {
      argv: 'predict llama-3.1-8b --machine nvidia-rtx-4090 -ngl 9 --host-device nvidia-rtx-3090'.split(' '),
      reason: 'GeForce RTX 3090 is a graphics card',
    },
    { argv: ['predict', '--batch', MAIN, '-o', 'no/such/file'], reason: 'written to no/such/file (ENOENT)' },
  ])('ends with 1 and one line that says why: $argv', ({ argv, reason }) => {
    const { exitCode, stdout, stderr } = ridgepoint(argv);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toContain(reason);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  it('finds models by several words, and by a name in which only its maker spells them', () => {
    const found = (...search: readonly string[]): string[] =>
      ridgepoint(['models', ...search])
        .stdout.trimEnd()
        .split('\n')
        .slice(1)
        .map((line) => line.split(' ', 1)[0] ?? '');
    expect(found('Qwen3', '30B', 'A3B')).toContain('qwen3-30b-a3b');
    expect(found('unsloth/Qwen3-30B-A3B-GGUF:UD-Q4_K_XL')).toEqual(['qwen3-30b-a3b']);
  });

  it('shows the stack of a failure only when asked', () => {
    const { exitCode, stderr } = ridgepoint(['models', 'no-such-model'], { RIDGEPOINT_DEBUG: '1' });
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/\n {4}at /);
  });

  it.each([
    ['models', ['models', '--json']],
    ['devices', ['devices', 'strix', '--json']],
    ['machines', ['devices', 'machines', 'framework', '--json']],
    ['device', ['devices', 'show', 'amd-ryzen-ai-max-395', '--json']],
    ['device', ['devices', 'show', 'framework-desktop-395-128', '--json']],
    ['power-scaling', ['devices', 'scale', '65:23', '--to', '120', '--json']],
    ['models', ['models', 'no-such-model', '--json']],
    ['cache', ['cache', '--json']],
    ['cache-clear', ['cache', 'clear', '--json']],
    ['machine', ['machine', '--json']],
    ['paths', ['machine', '--paths', '--json']],
    ['results', ['results', '--json']],
  ])('prints one %s document and nothing else: %j', (kind, argv) => {
    const { exitCode, stdout, stderr } = ridgepoint(argv, { FORCE_COLOR: '1' });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ schemaVersion: 1, kind: `ridgepoint-${kind}` });
  });

  it('colours when told to, and not off a terminal', () => {
    const escape = '\u001b[';
    expect(ridgepoint(['models', 'llama']).stdout).not.toContain(escape);
    expect(ridgepoint(['models', 'llama', '--color', 'always']).stdout).toContain(escape);
    expect(ridgepoint(['--color', 'always', 'models'], { NO_COLOR: '1' }).stdout).toContain(escape);
  });

  it('ends quietly when nobody reads on', async () => {
    const child = spawn(process.execPath, [MAIN, 'machine', '--json'], { env: environment() });
    child.stdout.destroy();
    let words = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (words += text));
    const [exitCode] = await once(child, 'close');
    expect({ exitCode, words }).toEqual({ exitCode: 0, words: '' });
  });

  it.skipIf(process.platform !== 'linux')('says in one line that the disk is full', async () => {
    const full = await open('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, [MAIN, 'models', '--json'], {
      encoding: 'utf8',
      env: environment(),
      stdio: ['ignore', full.fd, 'pipe'],
    });
    await full.close();
    expect(status).toBe(1);
    expect(stderr).toBe(
      'error: Standard output cannot be written (ENOSPC); check the disk that it goes to.\n',
    );
    const queries = path.join(folder, 'queries.jsonl');
    await writeFile(queries, '{}\n');
    const answered = ridgepoint(['predict', '--batch', queries, '-o', '/dev/full']);
    expect(answered.exitCode).toBe(1);
    expect(answered.stderr).toMatch(
      /^error: The answers cannot be written to \/dev\/full \(ENOSPC\)[^\n]*\n$/,
    );
  });

  it('does not put the answers in the place of the queries', async () => {
    const queries = path.join(folder, 'own.jsonl');
    await writeFile(queries, '{}\n');
    const { exitCode, stderr } = ridgepoint(['predict', '--batch', queries, '-o', queries]);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/would replace the queries/);
    expect(await readFile(queries, 'utf8')).toBe('{}\n');
  });

  it('saves a machine that it can show again', async () => {
    const file = path.join(folder, 'machine.json');
    expect(ridgepoint(['machine', '--save', file])).toMatchObject({ exitCode: 0, stdout: '' });
    const shown = ridgepoint(['machine', '--from', file]);
    expect(shown.exitCode).toBe(0);
    expect(shown.stdout).toMatch(/^memory: total +[\d.]+ GiB/m);
    await writeFile(file, '{"kind":"other"}');
    expect(ridgepoint(['machine', '--from', file]).stderr).toContain('The file holds no machine');
  });

  it('writes a synthetic model, and replaces a file only with --force', async () => {
    const place = await mkdtemp(path.join(folder, 'synth-'));
    const file = path.join(place, 'model.gguf');
    await writeFile(file, 'mine');
    const refused = ridgepoint(['synth', ...SMALL, '-o', file]);
    expect(refused).toMatchObject({ exitCode: 1, stdout: '' });
    expect(refused.stderr).toContain('--force');
    expect(await readFile(file, 'utf8')).toBe('mine');
    const written = ridgepoint(['synth', ...SMALL, '-o', file, '--force', '--json']);
    expect(JSON.parse(written.stdout)).toMatchObject({
      kind: 'ridgepoint-synthetic-model',
      file,
      layers: [11],
    });
    expect(await readdir(place)).toEqual(['model.gguf']);
    expect(ridgepoint(['synth', ...SMALL, '-o', place]).stderr).toContain('is a folder');
  });

  it('ends with 130 after Ctrl-C and leaves nothing behind', async () => {
    const place = path.join(folder, 'stopped');
    await mkdir(place);
    const argv = [MAIN, 'synth', 'llama-2-7b:Q4_0', '-o', path.join(place, 'model.gguf')];
    const child = spawn(process.execPath, argv, { env: environment() });
    while ((await readdir(place)).length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill('SIGINT');
    const [exitCode] = await once(child, 'close');
    expect(exitCode).toBe(130);
    expect(await readdir(place)).toEqual([]);
  });

  it('lists engines with their devices, and one that fails with its reason', async () => {
    const place = await mkdtemp(path.join(folder, 'bin-'));
    const broken = path.join(place, process.platform === 'win32' ? 'llama-bench.exe' : 'llama-bench');
    await writeFile(broken, '#!/bin/sh\nexit 3\n', { mode: 0o755 });
    const { exitCode, stdout } = ridgepoint(['engines', '--json'], { PATH: place });
    expect(exitCode).toBe(0);
    const { engines } = JSON.parse(stdout) as {
      readonly engines: readonly { id: string; description: object | null; reason: string | null }[];
    };
    const found = engines.find(({ id }) => id === `llama-bench:${broken}`);
    expect(found).toMatchObject({ description: null, reason: expect.stringContaining(broken) as string });
    expect(engines.some(({ id, description }) => id.startsWith('embedded:') && description !== null)).toBe(
      true,
    );
  });

  it('shows where the cache is limited, and refuses a limit that is no size', () => {
    expect(ridgepoint(['cache'], { RIDGEPOINT_CACHE_LIMIT: '2 GiB' }).stdout).toContain('of 2.00 GiB in');
    const refused = ridgepoint(['cache'], { RIDGEPOINT_CACHE_LIMIT: 'much' });
    expect(refused).toMatchObject({ exitCode: 1 });
    expect(refused.stderr).toContain('write it as 20GiB');
  });

  it.each(['bash', 'zsh', 'fish'])('completes commands and options in %s', (shell) => {
    const { exitCode, stdout } = ridgepoint(['completion', shell]);
    expect(exitCode).toBe(0);
    for (const word of ['bench', 'ubatch-size', 'clear', 'quick']) expect(stdout).toContain(word);
  });
});
