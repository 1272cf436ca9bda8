import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Enter } from './context.ts';
import type { CompareFlags } from './prediction-options.ts';
import { addSettings, promptLengths, tokenCount } from './predict-command.ts';

function share(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!(value >= 0 && value < 1))
    throw new InvalidArgumentError(`'${text}' is no share from 0 to less than 1; write 0.7 for 70 %.`);
  return value;
}

/** Defines `compare`. */
export function configureCompare(command: Command, enter: Enter): void {
  addSettings(command)
    .argument(
      '<machines...>',
      'machines or devices of the catalogue, saved machine files, or this; MACHINE@BACKEND names a backend',
    )
    .addOption(
      new Option('-m, --model <model>', 'name:QUANT of the catalogue, or a GGUF file').makeOptionMandatory(),
    )
    .addOption(
      new Option(
        '-p, --prompt <list>',
        'tokens of the prompt of a turn: 60000, or 2048,8192, or 2048-32768*2 (default: 2048)',
      ).argParser(promptLengths),
    )
    .addOption(new Option('-n, --output <tokens>', 'tokens of the answer').argParser(tokenCount).default(512))
    .addOption(
      new Option('--cached <share>', 'share of the prompt that is still in the cache')
        .argParser(share)
        .default(0),
    )
    .option('--json', 'print one JSON document')
    .action((machines: readonly string[], flags: CompareFlags) =>
      enter(async (context) => (await import('./compare.ts')).runCompare(machines, flags, context)),
    );
}
