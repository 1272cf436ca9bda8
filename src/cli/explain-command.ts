import { Option, type Command } from 'commander';
import type { Enter } from './context.ts';
import type { ExplainFlags } from './prediction-options.ts';
import { addSettings, GENERATED_OPTION, tokenCount, tokenDepth } from './predict-command.ts';

/** Defines `explain`. */
export function configureExplain(command: Command, enter: Enter): void {
  addSettings(command)
    .argument('<model>', 'name:QUANT of the catalogue, a GGUF file or organisation/repository:QUANT')
    .option(
      '--machine <machine>',
      'a machine or device of the catalogue, or a saved machine file (default: this machine)',
    )
    .option('--backend <backend>', 'cpu, cuda, metal, rocm, vulkan, with a variant where known')
    .addOption(
      new Option('-d, --depth <tokens>', 'tokens already in the cache').argParser(tokenDepth).default(0),
    )
    .addOption(new Option('-p, --prompt <tokens>', 'tokens of the prompt').argParser(tokenCount).default(512))
    .addOption(GENERATED_OPTION)
    .option('--svg <file>', 'draw the waterfalls as a picture')
    .option('--json', 'print one JSON document')
    .action((model: string, flags: ExplainFlags) =>
      enter(async (context) => (await import('./explain.ts')).runExplain(model, flags, context)),
    );
}
