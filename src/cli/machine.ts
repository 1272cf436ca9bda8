import type { Command } from 'commander';
import { readFile } from 'node:fs/promises';
import writeFileAtomic from 'write-file-atomic';
import { CatalogNameError } from '../catalog/index.ts';
import { readDeviceRecords } from '../catalog/host/index.ts';
import { gatherMachine } from '../machine/host/index.ts';
import {
  identify,
  matchCatalogue,
  parseMachineFile,
  type CatalogueMatch,
  type MachineFacts,
} from '../machine/index.ts';
import { readConfig, writeConfig } from './config.ts';
import {
  enginesDirectory,
  resultLogPath,
  syntheticDirectory,
  type CliContext,
  type Enter,
} from './context.ts';
import { CommandFailure, UsageError, type ExitCode } from './exit.ts';
import { factRows, matchRows } from './fact-rows.ts';
import { printDocument, printJson, printTable } from './output.ts';

interface MachineFlags {
  readonly save?: string;
  readonly from?: string;
  readonly json?: boolean;
  readonly device?: string;
  readonly remember?: boolean;
  readonly paths?: boolean;
}

/** Defines `machine`. */
export function configureMachine(command: Command, enter: Enter): void {
  command
    .option(
      '--save <file>',
      'write what was read on this machine to a file, without serial numbers and names',
    )
    .option('--from <file>', 'show a saved machine instead of this one')
    .option(
      '--device <id>',
      'the entry of the catalogue that describes this machine, instead of the one found',
    )
    .option('--remember', 'keep --device for all later runs of machine and probe')
    .option('--json', 'print the facts as one JSON document')
    .option('--paths', 'show the folders that ridgepoint uses')
    .action((flags: MachineFlags) => enter((context) => runMachine(flags, context)));
}

async function runMachine(flags: MachineFlags, context: CliContext): Promise<ExitCode> {
  if (flags.paths === true) return showPaths(flags.json === true, context);
  if (flags.save !== undefined && flags.from !== undefined) {
    throw new UsageError('--save writes this machine and --from reads another one; give one of them.');
  }
  if (flags.remember === true && flags.device === undefined) {
    throw new UsageError('--remember keeps what --device names; give both.');
  }
  if (flags.from !== undefined) {
    const facts = await readMachine(flags.from);
    show(facts, match(facts, flags.device), flags.json === true, context);
    return 0;
  }
  const capture = await gatherMachine();
  context.signal.throwIfAborted();
  if (flags.save !== undefined) {
    // The capture rather than the facts: a later version can judge it anew.
    await save(flags.save, `${JSON.stringify(capture, null, 2)}\n`);
    context.stderr(`Saved this machine to ${flags.save}; ridgepoint machine --from ${flags.save} shows it.`);
    if (flags.json !== true) return 0;
  }
  const facts = identify(capture);
  const config = await readConfig(context.paths);
  const matches = match(facts, flags.device ?? config.device);
  if (flags.remember === true && flags.device !== undefined) {
    const file = await writeConfig({ ...config, device: flags.device }, context.paths);
    context.stderr(`Remembered in ${file} that this machine has ${flags.device}.`);
  }
  show(facts, matches, flags.json === true, context);
  return 0;
}

function match(facts: MachineFacts, override: string | undefined): CatalogueMatch[] {
  try {
    return matchCatalogue(facts, readDeviceRecords(), override);
  } catch (error) {
    if (error instanceof CatalogNameError) throw new CommandFailure(error.message, { cause: error });
    throw error;
  }
}

function show(
  facts: MachineFacts,
  matches: readonly CatalogueMatch[],
  json: boolean,
  context: CliContext,
): void {
  if (json) {
    printJson(context, { ...facts, catalogue: matches.map(matchDocument) });
    return;
  }
  const { dim, yellow } = context.colors;
  printTable(
    context,
    [{ title: 'fact' }, { title: 'value' }, { title: 'where it was read, or why it is unknown' }],
    [
      ...factRows(facts).map(({ name, text, from }) => [name, text ?? yellow('unknown'), dim(from)]),
      ...matchRows(matches).map(({ name, text, from }) => [name, text ?? yellow('unknown'), dim(from)]),
    ],
  );
}

function matchDocument({ part, seen, device, chosenBy, others, evidence }: CatalogueMatch) {
  return { part, seen, device: device?.id ?? null, chosenBy, others: others.map(({ id }) => id), evidence };
}

function showPaths(json: boolean, context: CliContext): ExitCode {
  const { paths } = context;
  const places = {
    dataDirectory: paths.data,
    configDirectory: paths.config,
    cacheDirectory: paths.cache,
    resultLog: resultLogPath(paths),
    syntheticModelsDirectory: syntheticDirectory(paths),
    enginesDirectory: enginesDirectory(paths),
  };
  if (json) {
    printDocument(context, 'paths', places);
    return 0;
  }
  const names = ['data', 'config', 'cache', 'results', 'synthetic models', 'added engines'];
  printTable(
    context,
    [{ title: 'what' }, { title: 'where' }],
    Object.values(places).map((place, index) => [names[index] ?? '', place]),
  );
  return 0;
}

/** Reads a saved machine. @throws CommandFailure */
export async function readMachine(file: string): Promise<MachineFacts> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new CommandFailure(`${file} cannot be read (${codeOf(error)}); give the path of a saved machine.`, {
      cause: error,
    });
  }
  const parsed = parseMachineFile(text);
  if (!parsed.ok) throw new CommandFailure(`${file}: ${parsed.error}`);
  return parsed.facts;
}

async function save(file: string, text: string): Promise<void> {
  try {
    await writeFileAtomic(file, text);
  } catch (error) {
    const code = codeOf(error);
    const why = code === 'EISDIR' || code === 'ENOTEMPTY' ? 'it is a folder' : code;
    throw new CommandFailure(
      `${file} cannot be written (${why}); give the path of a file in a folder that exists.`,
      {
        cause: error,
      },
    );
  }
}

function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error) return String(error.code);
  return error instanceof Error ? error.message : String(error);
}
