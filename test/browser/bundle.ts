import { readFileSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import path from 'node:path';
import ts from 'typescript';

/** How a module of CommonJS names another: the form that TypeScript writes and that the libraries are published in. */
const REQUIRE = /\brequire\(\s*["']([^"']+)["']\s*\)/g;

/**
 * Joins a module with all that it imports into one script whose value is the module's exports: what a page loads. It
 * uses no name but those of ECMAScript; a module of Node among the imports is an error.
 */
export function bundle(entry: string): string {
  const ids = new Map<string, number>([[entry, 0]]);
  const modules: string[] = [];
  for (const file of ids.keys()) {
    const text = asCommonJs(file).replace(REQUIRE, (_, name: string) => {
      if (isBuiltin(name)) throw new Error(`${file} imports ${name}, which a page does not have.`);
      const target = name.startsWith('.')
        ? path.resolve(path.dirname(file), name)
        : createRequire(file).resolve(name);
      if (!ids.has(target)) ids.set(target, ids.size);
      return `require(${ids.get(target)})`;
    });
    modules.push(`(exports, module, require) => {\n${text}\n}`);
  }
  return `(() => {
  'use strict';
  const modules = [${modules.join(',\n')}];
  const loaded = [];
  const load = (id) => {
    if (loaded[id] === undefined) {
      loaded[id] = { exports: {} };
      modules[id](loaded[id].exports, loaded[id], load);
    }
    return loaded[id].exports;
  };
  return load(0);
})()`;
}

function asCommonJs(file: string): string {
  const text = readFileSync(file, 'utf8');
  if (!file.endsWith('.ts')) return text;
  return ts.transpileModule(text, {
    fileName: file,
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2023 },
  }).outputText;
}
