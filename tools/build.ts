/**
 * Writes `dist/`: the program in few files, with the libraries that it uses. Reading three hundred modules one by one
 * took a third of the time of `ridgepoint fit`.
 */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { build, type Plugin } from 'rolldown';

const ROOT = path.resolve(import.meta.dirname, '..');
const SOURCES = path.join(ROOT, 'src');
/** `engines` of package.json. */
const OLDEST_NODE = 'node20.19';

/** What libraries call the files that hold their terms. */
const LICENCE_FILE = /^(?:licen[cs]e|copying|notice)/i;

/**
 * Gives each module the place that it would have if it were compiled alone: what it finds beside itself (the data, the
 * version, the engine's process) must not depend on the chunk into which it was put.
 */
function keepPlaces(): Plugin {
  const moved = new Set<string>();
  return {
    name: 'keep-places',
    transform: {
      filter: { id: /[/\\]src[/\\]/, code: 'import.meta.url' },
      handler(code, id) {
        const place = path.relative(SOURCES, id).replace(/\.ts$/, '.js').split(path.sep).join('/');
        if (place.startsWith('..')) return null;
        moved.add(id);
        // On the same line as before: the map of the source stays true.
        return {
          code: code.replaceAll('import.meta.url', `new URL('../${place}', import.meta.url).href`),
          map: null,
        };
      },
    },
    generateBundle(_options, bundle) {
      for (const file of Object.values(bundle)) {
        if (file.type !== 'chunk' || file.fileName.split('/').length === 2) continue;
        const lost = file.moduleIds.find((id) => moved.has(id));
        if (lost !== undefined) throw new Error(`${lost} is in ${file.fileName}, not one folder below dist/`);
      }
    },
  };
}

/** Ships the licences of the libraries that are in the bundle, as they demand it. */
function collectLicences(): Plugin {
  return {
    name: 'collect-licences',
    generateBundle(_options, bundle) {
      const folders = new Set<string>();
      for (const file of Object.values(bundle)) {
        if (file.type !== 'chunk') continue;
        for (const id of file.moduleIds) {
          const folder = /^\0?(.*[/\\]node_modules[/\\](?:@[^/\\]+[/\\])?[^/\\]+)[/\\]/.exec(id)?.[1];
          if (folder !== undefined) folders.add(folder);
        }
      }
      const licences = [...folders].map(licenceOf).sort();
      this.emitFile({
        type: 'asset',
        fileName: 'THIRD-PARTY-LICENSES',
        source: `The files of this folder contain the libraries below, each under its own terms.\n\n${licences.join('\n')}`,
      });
    },
  };
}

function licenceOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as {
    readonly name: string;
    readonly version: string;
    readonly license: string;
  };
  const files = readdirSync(folder).filter((file) => LICENCE_FILE.test(file));
  if (files.length === 0) throw new Error(`${folder} has no file with its licence, so it cannot be bundled`);
  const texts = files.sort().map((file) => readFileSync(path.join(folder, file), 'utf8').trim());
  return `${'-'.repeat(80)}\n${name} ${version} (${license})\n\n${texts.join('\n\n')}\n`;
}

const start = performance.now();
await build({
  input: {
    'cli/main': path.join(SOURCES, 'cli/main.ts'),
    // A process of its own: `src/engine/host/worker-process.ts` starts it.
    'engine/host/worker': path.join(SOURCES, 'engine/host/worker.ts'),
  },
  // Brings a binary of its own for each platform.
  external: ['koffi'],
  platform: 'node',
  transform: {
    target: OLDEST_NODE,
    // Libraries in CommonJS know these; in a module, which the bundle is, nothing has these names.
    define: { __filename: 'import.meta.filename', __dirname: 'import.meta.dirname' },
  },
  plugins: [keepPlaces(), collectLicences()],
  onLog(level, log) {
    if (level === 'warn') throw new Error(log.message);
  },
  output: {
    dir: path.join(ROOT, 'dist'),
    cleanDir: true,
    entryFileNames: '[name].js',
    // What a command imports when it runs stays a file that is read only then.
    chunkFileNames: 'chunks/[name].js',
    sourcemap: true,
  },
});
process.stdout.write(`dist/ is built (${((performance.now() - start) / 1000).toFixed(1)} s)\n`);
