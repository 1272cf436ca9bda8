import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Enter } from './context.ts';
import { CACHE_TYPES, type FitFlags } from './fit-options.ts';

/** The largest number that llama.cpp's flags take. */
const MOST = 2 ** 31 - 1;

/** Defines `fit`. */
export function configureFit(command: Command, enter: Enter): void {
  const cacheType = (flags: string, what: string): Option =>
    new Option(flags, what).choices(CACHE_TYPES).default('f16');
  command
    .argument('<model>', 'name:QUANT of the catalogue, a GGUF file or organisation/repository:QUANT')
    .addOption(
      integer(
        '-c, --ctx <tokens>',
        'context, of all sequences together (default: all that the model knows)',
        1,
      ),
    )
    .option(
      '--machine <machine>',
      'a machine or device of the catalogue, or a saved machine file (default: this machine)',
    )
    .option('--exact', 'ask llama.cpp itself as well, without loading any weights')
    .addOption(cacheType('--cache-type-k <type>', 'type of the keys, -ctk'))
    .addOption(cacheType('--cache-type-v <type>', 'type of the values, -ctv'))
    .addOption(integer('--parallel <sequences>', 'sequences at once, -np', 1).default(1))
    .option('--unified', 'one cache for all sequences, as llama-server makes it')
    .addOption(integer('-b, --batch-size <tokens>', 'logical batch', 1).default(2048))
    .addOption(integer('--ubatch-size <tokens>', 'physical batch, -ub', 1).default(512))
    .addOption(integer('--n-gpu-layers <layers>', 'layers on the GPU, -ngl; -1 is all', -1).default(-1))
    .addOption(
      integer('--n-cpu-moe <layers>', 'layers whose experts stay in system memory, -ncmoe', 0).default(0),
    )
    .addOption(
      new Option(
        '--tensor-split <shares>',
        'shares in which several GPUs get the layers, as in 3,1, -ts (default: by their memory)',
      ).argParser(shares),
    )
    .addOption(new Option('--flash-attn <how>', 'flash attention, -fa').choices(['on', 'off']).default('on'))
    .option('--draft-mtp', 'load the layers that predict further tokens, and draft with them')
    .option('--mmproj', 'load the file as well that turns images into embeddings, in F16')
    .option('--json', 'print one JSON document')
    .action((model: string, flags: FitFlags) =>
      enter(async (context) => (await import('./fit.ts')).runFit(model, flags, context)),
    );
}

function integer(flags: string, what: string, least: number): Option {
  return new Option(flags, what).argParser((text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least || value > MOST) {
      const thousands = /^(\d{1,6})k$/i.exec(text)?.[1];
      const meant = thousands === undefined ? '' : ` Write ${Number(thousands) * 1024}.`;
      throw new InvalidArgumentError(`'${text}' is no whole number from ${least} to ${MOST}.${meant}`);
    }
    return value;
  });
}

/** `llama_max_devices`, src/llama.cpp. */
const MOST_DEVICES = 16;

function shares(text: string): readonly number[] {
  const values = text.split(',').map((each) => (each.trim() === '' ? NaN : Number(each)));
  const isShares =
    values.length <= MOST_DEVICES &&
    values.every((each) => Number.isFinite(each) && each >= 0) &&
    values.some((each) => each > 0);
  if (!isShares) throw new InvalidArgumentError('It has to be numbers with commas between, as in 3,1.');
  return values;
}
