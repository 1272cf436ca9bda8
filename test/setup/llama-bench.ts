import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';

const run = promisify(execFile);

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const CACHE = path.join(ROOT, 'node_modules/.cache/ridgepoint');

/** A package of the engine's binaries, with what its libraries add to their names. */
export const LLAMA_BENCH_BUILDS = { 'linux-x64': '', 'linux-x64-vulkan': '.vulkan' } as const;
export type LlamaBenchBuild = keyof typeof LLAMA_BENCH_BUILDS;

const manifestSchema = z.object({ optionalDependencies: z.record(z.string(), z.string()) });

/**
 * Gives the path of the official llama-bench of the engine's own release. Its source comes from the git bundle in the
 * npm package node-llama-cpp, and it loads the very libraries that the embedded engine loads, so that a difference
 * between the two is not one of compilers. Built once for each version; whole or not at all.
 */
export async function buildLlamaBench(build: LlamaBenchBuild = 'linux-x64'): Promise<string> {
  const manifest = manifestSchema.parse(JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8')));
  const version = manifest.optionalDependencies[`@node-llama-cpp/${build}`];
  if (version === undefined) throw new Error(`package.json does not name @node-llama-cpp/${build}`);
  const target = path.join(CACHE, `llama-bench-${version}-${build}`);
  const executable = path.join(target, 'llama-bench');
  if (existsSync(executable)) return executable;
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error('the official llama-bench is built for these tests on x86-64 Linux only');
  }

  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(path.join(CACHE, 'building-'));
  try {
    const source = await fetchSource(version, work);
    const output = path.join(work, 'out');
    await mkdir(output);
    await compile(source, output, build);
    await rename(output, target);
  } catch (error) {
    // Somebody else may have been first with the same result.
    if (!existsSync(executable)) throw error;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return executable;
}

async function fetchSource(version: string, work: string): Promise<string> {
  await program('npm', ['pack', `node-llama-cpp@${version}`, '--silent'], work);
  await program('tar', ['-xzf', `node-llama-cpp-${version}.tgz`, 'package/llama/gitRelease.bundle'], work);
  const source = path.join(work, 'source');
  await program('git', ['clone', '--quiet', 'package/llama/gitRelease.bundle', source], work);
  return source;
}

async function compile(source: string, output: string, build: LlamaBenchBuild): Promise<void> {
  const libraries = path.join(ROOT, 'node_modules/@node-llama-cpp', build, 'bins', build);
  const files = await readdir(libraries);
  const library = (pattern: RegExp): string => {
    const found = files.find((file) => pattern.test(file));
    if (found === undefined) throw new Error(`there is no ${pattern.source} in ${libraries}; run npm ci`);
    return `-l:${found}`;
  };
  const variant = LLAMA_BENCH_BUILDS[build].replace('.', String.raw`\.`);
  await program(
    'g++',
    [
      ['-O2', '-DNDEBUG', '-std=c++17', '-Iinclude', '-Iggml/include', '-Icommon', '-Ivendor'],
      ['tools/llama-bench/main.cpp', 'tools/llama-bench/llama-bench.cpp'],
      ['-o', path.join(output, 'llama-bench'), `-L${libraries}`],
      library(/^libllama-common\.so$/),
      library(new RegExp(String.raw`^libllama${variant}\.v[\d.]+\.so$`)),
      library(new RegExp(String.raw`^libggml${variant}\.v[\d.]+\.so$`)),
      library(/^libggml-base\.so$/),
      [`-Wl,-rpath,${libraries}`, '-Wl,--allow-shlib-undefined', '-lpthread'],
    ].flat(),
    source,
  );
  // The engine looks its backends up beside the executable.
  for (const file of files.filter((name) => /^libggml-(?:cpu-.*|vulkan)\.so$/.test(name))) {
    await symlink(path.join(libraries, file), path.join(output, file));
  }
}

async function program(command: string, args: readonly string[], cwd: string): Promise<void> {
  try {
    await run(command, args, { cwd });
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw missing
      ? new Error(`building llama-bench needs ${command}, which is not installed`, { cause: error })
      : error;
  }
}
