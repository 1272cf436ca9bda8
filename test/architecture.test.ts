import { cruise, type IConfiguration, type ICruiseResult } from 'dependency-cruiser';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '..');
/** The sources had 91 modules when this was written; far fewer means that the reader is blind, not that we tidied. */
const FEWEST_MODULES = 60;
/** dependency-cruiser reads TypeScript 5 and 6; with 7 it reports no modules, and passes. */
const rules = createRequire(import.meta.url)('../.dependency-cruiser.cjs') as Required<IConfiguration>;

interface Reading {
  readonly modules: number;
  /** `rule: from -> to`. */
  readonly violations: readonly string[];
}

async function readImports(folder: string): Promise<Reading> {
  const { output } = await cruise(
    ['src'],
    { ...rules.options, baseDir: folder, validate: true, ruleSet: { forbidden: rules.forbidden ?? [] } },
    { ...rules.options.enhancedResolveOptions, extensions: ['.ts', '.mjs', '.js', '.json'] },
  );
  if (typeof output === 'string') throw new Error('dependency-cruiser printed instead of answering');
  const { modules, summary }: ICruiseResult = output;
  return {
    modules: modules.filter((module) => module.source.startsWith('src/')).length,
    violations: summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`),
  };
}

/** Names of the language and of Node that reach out of a pure file without an import. */
const IMPURE_GLOBALS: ReadonlySet<string> = new Set([
  'Buffer',
  'console',
  'fetch',
  'performance',
  'process',
  'setImmediate',
  'setInterval',
  'setTimeout',
]);

/** What import rules cannot see: `export *`, default exports, and clocks and processes that are globals. */
function judgeSyntax(file: string, text: string): string[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true);
  const pure = !/\/host\/|^src\/(?:cli|web\/server)\//.test(file);
  const found: string[] = [];
  const own = declaredNames(source);
  const visit = (node: ts.Node): void => {
    if (ts.isExportDeclaration(node) && node.exportClause === undefined) found.push(`export-star: ${file}`);
    if (pure && isImpure(node) && !own.has(node.getText()))
      found.push(`impure-global: ${file} uses ${node.getText()}`);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** Variables and parameters of the file: one that is called `performance` hides the global. */
function declaredNames(source: ts.SourceFile): Set<string> {
  const names = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isVariableDeclaration(node) || ts.isParameter(node) || ts.isBindingElement(node)) {
      if (ts.isIdentifier(node.name)) names.add(node.name.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return names;
}

function isImpure(node: ts.Node): boolean {
  if (ts.isNewExpression(node)) {
    return node.expression.getText() === 'Date' && (node.arguments ?? []).length === 0;
  }
  if (!ts.isIdentifier(node)) return false;
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) {
    if (parent.name === node) return false;
    if (node.text === 'Date') return parent.name.text === 'now';
    if (node.text === 'Math') return parent.name.text === 'random';
  }
  const isName =
    (ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent) || ts.isParameter(parent)) &&
    parent.name === node;
  return IMPURE_GLOBALS.has(node.text) && !isName;
}

async function sourceFiles(): Promise<string[]> {
  const names = await readdir(path.join(ROOT, 'src'), { recursive: true });
  return names
    .map((name) => `src/${name.replaceAll('\\', '/')}`)
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'));
}

describe('the sources', () => {
  it('import as docs/architecture.md says, and were read', async () => {
    const reading = await readImports(ROOT);
    expect(reading.violations).toEqual([]);
    expect(reading.modules).toBeGreaterThanOrEqual(FEWEST_MODULES);
    expect(reading.modules).toBe((await sourceFiles()).length);
  });

  it('name what they export, and reach for clocks and processes only in the shell', async () => {
    const files = await sourceFiles();
    const found: string[] = [];
    for (const file of files) found.push(...judgeSyntax(file, await readFile(path.join(ROOT, file), 'utf8')));
    expect(found).toEqual([]);
    expect(files.length).toBeGreaterThanOrEqual(FEWEST_MODULES);
  });
});

/** A sound little tree, and one file that breaks one rule at a time. */
const SOUND: Readonly<Record<string, string>> = {
  'src/units/index.ts': `export { one } from './one.ts';`,
  'src/units/one.ts': `export const one = 1;`,
  'src/stats/index.ts': `export { two } from './two.ts';`,
  'src/stats/two.ts': `import { one } from '../units/index.ts'; export const two = one + one;`,
  'src/machine/index.ts': `import { one } from '../units/index.ts'; import * as z from 'zod'; export const schema = z.literal(one);`,
  'src/machine/host/index.ts': `import { readFileSync } from 'node:fs'; import { schema } from '../index.ts'; export const read = () => schema.parse(readFileSync);`,
  'src/cli/main.ts': `import { read } from '../machine/host/index.ts'; import 'node:fs'; read();`,
};

const PLANTED: readonly { readonly rule: string; readonly file: string; readonly text: string }[] = [
  {
    rule: 'direction-units',
    file: 'src/units/bad.ts',
    text: `import { two } from '../stats/index.ts'; export const bad = two;`,
  },
  {
    rule: 'direction-stats',
    file: 'src/stats/bad.ts',
    text: `import type { schema } from '../machine/index.ts'; export type Bad = typeof schema;`,
  },
  { rule: 'direction-machine', file: 'src/machine/host/bad.ts', text: `import '../../cli/main.ts';` },
  { rule: 'known-room', file: 'src/helpers/bad.ts', text: `import '../units/index.ts';` },
  { rule: 'pure-without-node', file: 'src/machine/bad.ts', text: `import 'node:fs';` },
  {
    rule: 'pure-without-node',
    file: 'src/stats/bad.ts',
    text: `import { spawn } from 'child_process'; export const bad = spawn;`,
  },
  {
    rule: 'pure-without-libraries',
    file: 'src/machine/bad.ts',
    text: `import koffi from 'koffi'; export const bad = koffi;`,
  },
  {
    rule: 'pure-without-host',
    file: 'src/machine/bad.ts',
    text: `import { read } from './host/index.ts'; export const bad = read;`,
  },
  {
    rule: 'pure-without-host',
    file: 'src/machine/bad.ts',
    text: `export const bad = async () => import('./host/index.ts');`,
  },
  {
    rule: 'faces-only',
    file: 'src/stats/bad.ts',
    text: `import { one } from '../units/one.ts'; export const bad = one;`,
  },
  {
    rule: 'cli-computes-nothing',
    file: 'src/cli/bad.ts',
    text: `import { two } from '../stats/index.ts'; export const bad = two;`,
  },
  {
    rule: 'no-circular-imports',
    file: 'src/units/one.ts',
    text: `import './index.ts'; export const one = 1;`,
  },
  { rule: 'resolvable', file: 'src/units/bad.ts', text: `import './nowhere.ts';` },
];

describe('a planted violation', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ridgepoint-architecture-'));
    await symlink(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'), 'junction');
    for (const [file, text] of Object.entries(SOUND)) await plant(file, text);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function plant(file: string, text: string): Promise<void> {
    await mkdir(path.dirname(path.join(folder, file)), { recursive: true });
    await writeFile(path.join(folder, file), text);
  }

  it('is the only thing that is found: the tree without it is sound', async () => {
    expect(await readImports(folder)).toEqual({ modules: Object.keys(SOUND).length, violations: [] });
  });

  it.each(PLANTED)('of $rule in $file is found', async ({ rule, file, text }) => {
    await plant(file, text);
    try {
      const { violations } = await readImports(folder);
      expect(violations.filter((each) => each.startsWith(`${rule}: `))).not.toEqual([]);
    } finally {
      const sound = SOUND[file];
      if (sound === undefined) await rm(path.join(folder, file));
      else await plant(file, sound);
      if (rule === 'known-room') await rm(path.join(folder, path.dirname(file)), { recursive: true });
    }
  });

  it('of every rule about rooms is among those above', () => {
    const names = (rules.forbidden ?? []).map(({ name }) => name ?? '');
    const planted = new Set(PLANTED.map(({ rule }) => rule));
    // One pattern makes the rules of all rooms; three of them stand for it.
    expect(names.filter((name) => !name.startsWith('direction-') && !planted.has(name))).toEqual([]);
  });

  it.each([
    ['export-star', 'src/units/index.ts', `export * from './one.ts';`],
    ['impure-global', 'src/units/one.ts', `export const one = Date.now();`],
    ['impure-global', 'src/units/one.ts', `export const one = new Date();`],
    ['impure-global', 'src/units/one.ts', `export const one = Math.random();`],
    ['impure-global', 'src/units/one.ts', `export const one = process.env;`],
    ['impure-global', 'src/units/one.ts', `export const one = performance.now();`],
    ['impure-global', 'src/units/one.ts', `void fetch('https://example.org');`],
  ])('of %s in %s is found: %s', (rule, file, text) => {
    expect(judgeSyntax(file, text).map((each) => each.split(':', 1)[0])).toEqual([rule]);
  });

  it('is not what the shell does, nor a date with an argument, nor a property of that name', () => {
    expect(judgeSyntax('src/machine/host/index.ts', `export const now = Date.now();`)).toEqual([]);
    expect(judgeSyntax('src/units/one.ts', `export const day = new Date(0);`)).toEqual([]);
    expect(judgeSyntax('src/units/one.ts', `export const one = { process: 1 }.process;`)).toEqual([]);
  });
});
