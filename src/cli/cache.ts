import type { Command } from 'commander';
import { openSyntheticCache, type CachedFile, type SyntheticCache } from '../model/host/index.ts';
import { bytes, formatBytes, GIB, parseBytes, type Bytes } from '../units/index.ts';
import { syntheticDirectory, type CliContext, type Enter } from './context.ts';
import { CommandFailure, type ExitCode } from './exit.ts';
import { printDocument, printTable } from './output.ts';

/**
 * What the cache may hold unless `RIDGEPOINT_CACHE_LIMIT` says otherwise: the layer samples of every model of the
 * catalogue and one whole 30B model fit, and a 256 GB disk is not filled.
 */
const DEFAULT_LIMIT = bytes(64 * GIB);

interface JsonFlag {
  readonly json?: boolean;
}

/** Defines `cache` and what it can do. */
export function configureCache(command: Command, enter: Enter): void {
  const json = ['--json', 'print one JSON document'] as const;
  command
    .command('list', { isDefault: true })
    .description('List the files, the last used first.')
    .option(...json)
    .action((flags: JsonFlag) => enter((context) => runList(flags.json === true, context)));
  command
    .command('clear')
    .description('Remove every file that is not in use.')
    .option(...json)
    .action((flags: JsonFlag) => enter((context) => runClear(flags.json === true, context)));
  command
    .command('remove')
    .argument('<name>', 'the name of a file, as list shows it')
    .description('Remove one file.')
    .option(...json)
    .action((name: string, flags: JsonFlag) =>
      enter((context) => runRemove(name, flags.json === true, context)),
    );
  command.addHelpText(
    'after',
    `\nThe cache holds up to ${formatBytes(DEFAULT_LIMIT)}; RIDGEPOINT_CACHE_LIMIT=20GiB sets another limit.`,
  );
}

/** The cache of synthetic models of this user. @throws CommandFailure when the limit in the environment is no size. */
export function openCache(context: CliContext): Promise<SyntheticCache> {
  return openSyntheticCache(syntheticDirectory(context.paths), { limitBytes: cacheLimit() });
}

function cacheLimit(): Bytes {
  const text = process.env['RIDGEPOINT_CACHE_LIMIT'] ?? '';
  if (text === '') return DEFAULT_LIMIT;
  const limit = parseBytes(text);
  if (limit === undefined) {
    throw new CommandFailure(`RIDGEPOINT_CACHE_LIMIT is '${text}', which is no size; write it as 20GiB.`);
  }
  return limit;
}

async function runList(json: boolean, context: CliContext): Promise<ExitCode> {
  const cache = await openCache(context);
  const files = await cache.list();
  const total = totalOf(files);
  if (json) {
    printDocument(context, 'cache', {
      directory: cache.directory,
      limitBytes: cacheLimit(),
      totalBytes: total,
      files: files.map(documentOf),
    });
    return 0;
  }
  if (files.length > 0) {
    printTable(
      context,
      [{ title: 'file' }, { title: 'size', align: 'right' }, { title: 'last used' }, { title: '' }],
      files.map((file) => [
        file.name,
        formatBytes(file.bytes),
        file.lastUsed.toISOString(),
        file.inUse ? 'in use' : '',
      ]),
    );
  }
  context.stdout(`${formatBytes(total)} of ${formatBytes(cacheLimit())} in ${cache.directory}`);
  return 0;
}

async function runClear(json: boolean, context: CliContext): Promise<ExitCode> {
  const cache = await openCache(context);
  const removed = await cache.clear();
  const kept = await cache.list();
  if (json) {
    printDocument(context, 'cache-clear', { removed: removed.map(documentOf), kept: kept.map(documentOf) });
    return 0;
  }
  context.stdout(`Removed ${formatBytes(totalOf(removed))} (files: ${removed.length}).`);
  for (const file of kept) context.stderr(`${file.name} is in use and stays.`);
  return 0;
}

async function runRemove(name: string, json: boolean, context: CliContext): Promise<ExitCode> {
  const cache = await openCache(context);
  const file = (await cache.list()).find((each) => each.name === name);
  if (file === undefined) {
    throw new CommandFailure(`There is no ${name} in the cache; ridgepoint cache list shows what there is.`);
  }
  if (!(await cache.remove(name))) {
    throw new CommandFailure(`${name} is in use; remove it when the benchmark that reads it has ended.`);
  }
  if (json) printDocument(context, 'cache-remove', { removed: [documentOf(file)] });
  else context.stdout(`Removed ${name} (${formatBytes(file.bytes)}).`);
  return 0;
}

const totalOf = (files: readonly CachedFile[]): Bytes =>
  bytes(files.reduce((sum, file) => sum + file.bytes, 0));

const documentOf = (file: CachedFile): object => ({
  name: file.name,
  path: file.path,
  sizeBytes: file.bytes,
  lastUsedAt: file.lastUsed.toISOString(),
  inUse: file.inUse,
});
