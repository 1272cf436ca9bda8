import type { Command } from 'commander';
import {
  embeddedVariants,
  findLlamaBench,
  openEmbeddedEngine,
  openLlamaBenchEngine,
} from '../engine/host/index.ts';
import type { Engine, EngineDescription } from '../engine/index.ts';
import { formatBytes } from '../units/index.ts';
import { addEngine, ADDABLE_VARIANTS } from './add-engine.ts';
import { enginesDirectory, type CliContext, type Enter } from './context.ts';
import type { ExitCode } from './exit.ts';
import { printDocument, printTable } from './output.ts';

/** An engine that was looked for: what it says of itself, or why it cannot be used. */
interface EngineRow {
  readonly id: string;
  /** The npm package of an embedded engine; null for a llama-bench. */
  readonly package: string | null;
  readonly packageVersion: string | null;
  readonly directory: string | null;
  readonly description: EngineDescription | null;
  /** null when it can be used. */
  readonly reason: string | null;
}

/** Defines `engines` and `engines add`. */
export function configureEngines(command: Command, enter: Enter): void {
  command
    .command('list', { isDefault: true })
    .description('List the engines and the devices that each one sees.')
    .option('--json', 'print one JSON document')
    .action((flags: { readonly json?: boolean }) =>
      enter((context) => runEngines(flags.json === true, context)),
    );
  command
    .command('add')
    .argument('<variant>', `what to add: ${ADDABLE_VARIANTS.join(', ')}`)
    .description('Install a variant of the embedded engine that is too large for everybody.')
    .addHelpText('after', '\nExample:\n  ridgepoint engines add cuda')
    .action((variant: string) => enter((context) => addEngine(variant, context)));
}

async function runEngines(json: boolean, context: CliContext): Promise<ExitCode> {
  const addedFolder = enginesDirectory(context.paths);
  const rows: EngineRow[] = [];
  for (const build of embeddedVariants(addedFolder)) {
    const { variant, directory } = build;
    const row = {
      id: `embedded:${variant}`,
      package: build.package,
      packageVersion: build.version,
      directory,
    };
    rows.push(
      directory === null
        ? { ...row, description: null, reason: build.reason }
        : { ...row, ...(await described(() => openEmbeddedEngine({ variant, addedFolder }))) },
    );
    context.signal.throwIfAborted();
  }
  for (const executable of await findLlamaBench()) {
    const program = { id: `llama-bench:${executable}`, package: null, packageVersion: null, directory: null };
    rows.push({ ...program, ...(await described(() => openLlamaBenchEngine(executable))) });
    context.signal.throwIfAborted();
  }
  if (json) printDocument(context, 'engines', { engines: rows });
  else printEngines(rows, context);
  return 0;
}

/** Asks an engine; one that fails is a row of the list with its reason, and the others still answer. */
async function described(open: () => Engine): Promise<Pick<EngineRow, 'description' | 'reason'>> {
  try {
    return { description: await open().describe(), reason: null };
  } catch (error) {
    return { description: null, reason: error instanceof Error ? error.message : String(error) };
  }
}

function printEngines(rows: readonly EngineRow[], context: CliContext): void {
  printTable(
    context,
    [
      { title: 'engine' },
      { title: 'llama.cpp' },
      { title: 'device' },
      { title: 'memory', align: 'right' },
      { title: '' },
    ],
    rows.flatMap((row) => linesOf(row, context)),
  );
}

function linesOf({ id, description, reason }: EngineRow, context: CliContext): string[][] {
  if (description === null) return [[id, '', '', '', context.colors.yellow(reason ?? '')]];
  const build = description.version ?? description.buildCommit;
  if (description.devices.length === 0) return [[id, build, 'none', '', '']];
  return description.devices.map((device, index) => [
    index === 0 ? id : '',
    index === 0 ? build : '',
    device.name,
    device.totalBytes === null ? 'unknown' : formatBytes(device.totalBytes),
    device.description,
  ]);
}
