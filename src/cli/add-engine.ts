import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { embeddedVariants } from '../engine/host/index.ts';
import { enginesDirectory, type CliContext } from './context.ts';
import { CommandFailure, UsageError, type ExitCode } from './exit.ts';

/** Variants that are not installed with ridgepoint: the CUDA libraries take 181 MB. */
export const ADDABLE_VARIANTS: readonly string[] = ['cuda'];

/** Lines of npm's own words that go into the sentence of a failure. */
const MAX_NPM_LINES = 3;

/**
 * Installs the pinned package of a variant below the data folder, with npm and without a shell.
 * @throws CommandFailure when there is none for this platform, or npm is missing or fails.
 */
export async function addEngine(variant: string, context: CliContext): Promise<ExitCode> {
  if (!ADDABLE_VARIANTS.includes(variant)) {
    throw new UsageError(`'${variant}' cannot be added; what can is ${ADDABLE_VARIANTS.join(', ')}.`);
  }
  const folder = enginesDirectory(context.paths);
  const find = () => embeddedVariants(folder).find((build) => build.variant === variant);
  const wanted = find();
  if (wanted === undefined) {
    throw new CommandFailure(
      `There is no ${variant} engine for ${process.platform}-${process.arch}; use a llama-bench of your own: --engine llama-bench:/path/to/llama-bench.`,
    );
  }
  if (wanted.directory !== null) {
    context.stdout(`${wanted.package} ${wanted.version} is installed in ${wanted.directory}.`);
    return 0;
  }
  await mkdir(folder, { recursive: true });
  context.stderr(`Installing ${wanted.package} ${wanted.version} into ${folder} ...`);
  await install(folder, `${wanted.package}@${wanted.version}`, context.signal);
  const installed = find();
  if (installed === undefined || installed.directory === null) {
    throw new CommandFailure(
      `npm ended without a failure, but ${wanted.package} is ${installed?.reason ?? 'missing'}; look into ${folder}.`,
    );
  }
  context.stdout(`${installed.package} ${installed.version} is installed in ${installed.directory}.`);
  return 0;
}

/** How to start npm: on Windows it is a script that only a shell can start, so Node runs its JavaScript instead. */
function npmCommand(): { readonly file: string; readonly arguments: readonly string[] } {
  const script = process.env['npm_execpath'];
  if (script?.endsWith('.js') === true) return { file: process.execPath, arguments: [script] };
  return process.platform === 'win32'
    ? {
        file: process.execPath,
        arguments: [process.execPath.replace(/[^\\/]+$/, String.raw`node_modules\npm\bin\npm-cli.js`)],
      }
    : { file: 'npm', arguments: [] };
}

async function install(folder: string, specifier: string, signal: AbortSignal): Promise<void> {
  const npm = npmCommand();
  // The libraries need no script of the package, and nothing of a stranger's runs.
  const options = ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const child = spawn(npm.file, [...npm.arguments, ...options, '--prefix', folder, specifier], {
    stdio: ['ignore', 'ignore', 'pipe'],
    signal,
  });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(0, 10_000);
  });
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw new CommandFailure(
      'npm cannot be started; install it (it comes with Node.js), or put it on PATH.',
      {
        cause: error,
      },
    );
  });
  if (exitCode === 0) return;
  signal.throwIfAborted();
  const reason = words.trim().split('\n').slice(0, MAX_NPM_LINES).join('; ');
  const offline = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH/.test(words);
  throw new CommandFailure(
    offline
      ? `npm cannot reach its registry to install ${specifier}; go online, or set npm's proxy, and try again (${reason}).`
      : `npm could not install ${specifier} into ${folder}: ${reason === '' ? `exit code ${exitCode ?? 'unknown'}` : reason}.`,
  );
}
