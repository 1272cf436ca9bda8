import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, readdir, rm, symlink } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '..');
const DIST = path.join(ROOT, 'dist');

/** The package as it is published, in a folder elsewhere. */
let elsewhere = '';

beforeAll(async () => {
  elsewhere = await mkdtemp(path.join(tmpdir(), 'ridgepoint-package-'));
  for (const part of ['dist', 'data', 'package.json']) {
    await cp(path.join(ROOT, part), path.join(elsewhere, part), { recursive: true });
  }
});

afterAll(async () => {
  await rm(elsewhere, { recursive: true, force: true });
});

async function builtFiles(ending: string): Promise<string[]> {
  const names = await readdir(DIST, { recursive: true });
  return Promise.all(
    names.filter((name) => name.endsWith(ending)).map((name) => readFile(path.join(DIST, name), 'utf8')),
  );
}

/** The files that were put into the bundle, as the maps name them. */
async function bundledSources(): Promise<string[]> {
  const maps = await builtFiles('.js.map');
  return maps.flatMap((text) => (JSON.parse(text) as { readonly sources: readonly string[] }).sources);
}

interface Answer {
  readonly stdout: string;
  readonly stderr: string;
}

/** What the package elsewhere answers, with the folders of a user of its own. */
async function ridgepoint(argv: readonly string[], variables: NodeJS.ProcessEnv = {}): Promise<Answer> {
  const home = path.join(elsewhere, 'home');
  const folders = { HOME: home, XDG_DATA_HOME: home, XDG_CACHE_HOME: home, XDG_CONFIG_HOME: home };
  return promisify(execFile)(process.execPath, [path.join(elsewhere, 'dist/cli/main.js'), ...argv], {
    env: { ...process.env, NODE_OPTIONS: '', ...folders, ...variables },
  });
}

describe('the built package', () => {
  it('imports the dependencies that it declares, and no others', async () => {
    const { dependencies } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8')) as {
      readonly dependencies: Readonly<Record<string, string>>;
    };
    const code = (await builtFiles('.js')).join('\n');
    const imported = [
      ...code.matchAll(/(?:^(?:import|export)\b.* from |^import |import\(|require\()"([^"]+)"/gm),
    ]
      .map((match) => match[1] ?? '')
      .filter((name) => !name.startsWith('.') && !isBuiltin(name));
    expect([...new Set(imported)]).toEqual(Object.keys(dependencies));
  });

  it('ships the licence of every library that is in it', async () => {
    const libraries = (await bundledSources()).flatMap(
      (source) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(source)?.[1] ?? [],
    );
    expect(new Set(libraries)).toContain('zod');
    const shipped = await readFile(path.join(DIST, 'THIRD-PARTY-LICENSES'), 'utf8');
    const missing = [...new Set(libraries)].filter((name) => !shipped.includes(`\n${name} `));
    expect(missing).toEqual([]);
    expect(shipped.match(/permission/gi)?.length).toBeGreaterThanOrEqual(new Set(libraries).size);
  });

  it('leaves out the sixty languages of zod that nobody sees', async () => {
    const languages = (await bundledSources()).filter((source) => source.includes('/zod/v4/locales/'));
    expect(languages.map((source) => path.basename(source))).toEqual(['en.js']);
  });

  it('reads its version and its data in any folder, without node_modules', async () => {
    const { version } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8')) as {
      readonly version: string;
    };
    expect((await ridgepoint(['--version'])).stdout).toBe(`${version}\n`);
    const fit = await ridgepoint(['fit', 'llama-2-7b:Q4_0', '--machine', 'framework-desktop-395-128']);
    expect(fit.stdout).toMatch(/^weights +3\.\d+ GiB/m);
    const speed = await ridgepoint(['predict', 'llama-2-7b:Q4_0', '--machine', 'framework-desktop-395-128']);
    expect(speed.stdout).toMatch(/pp512 +tg/);
  });

  it('writes files whole', async () => {
    const file = path.join(elsewhere, 'machine.json');
    await ridgepoint(['machine', '--save', file]);
    expect((await ridgepoint(['machine', '--from', file])).stdout).toMatch(/^cpu: logical cores +\d+/m);
  });

  it('names the sources in the stack of an error', async () => {
    const { stderr } = await ridgepoint(['fit', 'no-such-model'], { RIDGEPOINT_DEBUG: '1' }).catch(
      (error: Answer) => error,
    );
    expect(stderr).toMatch(/at .*src[/\\]catalog[/\\]model-name\.ts:\d+/);
  });

  it("starts the engine's process", async () => {
    await symlink(path.join(ROOT, 'node_modules'), path.join(elsewhere, 'node_modules'));
    try {
      const { stdout } = await ridgepoint(['engines']);
      expect(stdout).toMatch(/^embedded:cpu +[\d.]+ +CPU +[\d.]+ GiB/m);
    } finally {
      await rm(path.join(elsewhere, 'node_modules'));
    }
  });
});
