import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '..');

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
}

async function manifest(): Promise<Manifest> {
  return JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8')) as Manifest;
}

/** The names in the first column of the page's tables. */
async function documented(): Promise<string[]> {
  const page = await readFile(path.join(ROOT, 'docs/dependencies.md'), 'utf8');
  return [...page.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1] ?? '');
}

describe('docs/dependencies.md', () => {
  it('has one line for each dependency of package.json, and none for others', async () => {
    const { dependencies, devDependencies, optionalDependencies } = await manifest();
    const names = Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies });
    expect(names.length).toBeGreaterThan(0);
    expect((await documented()).sort()).toEqual(names.sort());
  });
});

describe('package.json', () => {
  it('pins every dependency exactly', async () => {
    const { dependencies, devDependencies, optionalDependencies } = await manifest();
    const versions = Object.values({ ...dependencies, ...devDependencies, ...optionalDependencies });
    expect(versions.filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });

  it('asks for one release of the engine on all platforms', async () => {
    const { optionalDependencies } = await manifest();
    expect(new Set(Object.values(optionalDependencies)).size).toBe(1);
  });
});
