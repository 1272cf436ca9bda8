#!/usr/bin/env node
import { Command, CommanderError, Option } from 'commander';
import { findCommand } from './command-line.ts';
import { COMMANDS } from './commands.ts';
import type { ColorChoice, Enter } from './context.ts';
import { explain, Interruption, UsageError, type ExitCode } from './exit.ts';
import { packageVersion } from './version.ts';

/** Parses, runs and answers with an exit code. Modules of a command are loaded only when it is the one that runs. */
async function main(argv: readonly string[]): Promise<ExitCode> {
  endWhereOutputEnds();
  // Only where somebody looks at the stack: reading the maps takes longer than most answers.
  if (debugging()) process.setSourceMapsEnabled(true);
  let exitCode: ExitCode = 0;
  let signal: AbortSignal | null = null;
  const program = createProgram();
  const enter: Enter = async (run) => {
    const { createContext } = await import('./context.ts');
    const context = createContext(program.opts<{ color: ColorChoice }>().color);
    signal = context.signal;
    exitCode = await run(context);
  };
  try {
    const line = findCommand(argv);
    for (const { name, summary, example, load } of COMMANDS) {
      const command = program
        .command(name)
        .summary(summary)
        .description(`${capitalised(summary)}.`)
        .addHelpText('after', `\nExample:\n  ${example}`);
      if (name === line.command || line.command === 'completion') (await load())(command, enter);
    }
    await program.parseAsync(await translated(line.argv, line.command), { from: 'user' });
    return interruption(signal)?.exitCode ?? exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const stopped = error instanceof Interruption ? error : interruption(signal);
    if (stopped !== null) return stopped.exitCode;
    process.stderr.write(`${explain(error, debugging())}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

function createProgram(): Command {
  return new Command('ridgepoint')
    .description('Measures what a machine can do for large language models, with the real llama.cpp.')
    .version(packageVersion())
    .addOption(
      new Option('--color <when>', 'when to colour: NO_COLOR turns auto off')
        .choices(['auto', 'always', 'never'] satisfies ColorChoice[])
        .default('auto'),
    )
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', '\nExample:\n  ridgepoint check --quick\n\nridgepoint alone is ridgepoint check.')
    .exitOverride()
    .showHelpAfterError('(--help shows what there is)');
}

/** Commands that take llama-bench's spelling, and whether their models are arguments or, as in llama-bench, an option. */
const MODELS_OF_COMMANDS: Readonly<Partial<Record<string, 'arguments' | 'option'>>> = {
  bench: 'arguments',
  fit: 'arguments',
  predict: 'arguments',
  explain: 'arguments',
  compare: 'option',
};

async function translated(argv: readonly string[], command: string | null): Promise<readonly string[]> {
  const models = command === null ? undefined : MODELS_OF_COMMANDS[command];
  if (models === undefined) return argv;
  const { translateLlamaBenchFlags } = await import('./llama-bench-flags.ts');
  return translateLlamaBenchFlags(argv, models);
}

/** A reader that has read enough, such as `head`, is no error of ours; a full disk is one, and takes one sentence. */
function endWhereOutputEnds(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    process.stderr.write(
      `error: Standard output cannot be written (${error.code ?? error.message}); check the disk that it goes to.\n`,
    );
    process.exit(1);
  });
  // Where the reasons cannot be written either, the exit code alone tells.
  process.stderr.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
}

function interruption(signal: AbortSignal | null): Interruption | null {
  const reason: unknown = signal?.reason;
  return reason instanceof Interruption ? reason : null;
}

const debugging = (): boolean => (process.env['RIDGEPOINT_DEBUG'] ?? '') !== '';
const capitalised = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

process.exitCode = await main(process.argv.slice(2));
